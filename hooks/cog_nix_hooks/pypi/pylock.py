"""Reads what uv wrote: ``pylock.toml`` (PEP 751) and the annotations of a requirements file."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.pylock import PackageArchive, Pylock, PylockValidationError
from packaging.utils import canonicalize_name

from cog_nix.fetch import git, urls
from cog_nix.lock.model import Source
from cog_nix.system.jsonvalue import size_of
from cog_nix_hooks.pypi.errors import LockFileError, PackageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.markers import Marker
    from packaging.pylock import Package as LockedPackage
    from packaging.pylock import PackageSdist, PackageWheel

    from cog_nix.lock.model import Artifact

_REQUIRED_BY = re.compile(r"\s+# via (?P<parents>.+)$")
_NAMED = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:===?|@)")
_PROJECT = "/src"
"""Where the image has the project."""
_SHORT = 12
"""Digits of a commit that a file name shows."""


@dataclass(frozen=True)
class File:
    """One file of a package, as the index tells about it."""

    filename: str
    url: str
    """Relative to the project (``./dist/…``) when it is in there."""
    sha256: str | None
    size: int | None


@dataclass(frozen=True)
class Checkout:
    """A commit of a git repository."""

    url: str
    """Of the repository; may carry credentials."""
    commit: str
    revision: str
    """What was asked for."""


@dataclass(frozen=True)
class Package:
    """One resolved package."""

    name: str
    version: str
    marker: Marker | None
    wheels: tuple[File, ...] = ()
    sdist: File | None = None
    """A source distribution of the index."""
    archive: File | None = None
    """A source archive that was named by its URL or path."""
    checkout: Checkout | None = None
    folder: str = ""
    """A source tree on this machine."""
    subdirectory: str = ""
    """Where in the archive or the repository the project is."""
    direct: bool = False
    """Whether it was named by a URL or a path."""

    @property
    def source(self) -> Source | None:
        """The kind of its source, if it has any; what building that takes is found out later."""
        if self.checkout:
            return Source("git", subdirectory=self.subdirectory, revision=self.checkout.revision)
        if self.archive:
            return Source("archive", subdirectory=self.subdirectory)
        return Source("sdist") if self.sdist else None

    @property
    def source_file(self) -> File:
        """Its source archive; that of a commit is still to be made.

        Raises:
            PackageError: it is a folder.
        """
        if self.checkout:
            commit, name = self.checkout.commit, f"{self.name}-{self.checkout.commit[:_SHORT]}.tar"
            return File(name, f"git+{git.public(self.checkout.url)}@{commit}", None, None)
        if found := self.archive or self.sdist:
            return found
        raise PackageError(
            f"{self.name} is the folder {self.folder}; requirements are installed before the project"
            " is in the image, as with cog",
            hint="Name an archive of it (./dist/NAME-1.0.tar.gz).",
            package=self.name,
        )

    def origin(self, artifact: Artifact) -> str:
        """Return what ``pip freeze`` shows behind ``NAME @`` for a direct reference (PEP 610); "" for others.

        Args:
            artifact: its file; one in the project is shown where the image has it.
        """
        if not self.direct:
            return ""
        url = artifact.url
        if url.startswith("./"):
            url = f"file://{_PROJECT}/{url.removeprefix('./')}"
        fragments = [] if self.checkout else [f"sha256={artifact.sha256}"]
        fragments += [f"subdirectory={self.subdirectory}"] if self.subdirectory else []
        return f"{url}#{'&'.join(fragments)}" if fragments else url


def read_pylock(path: Path, root: Path) -> tuple[Package, ...]:
    """Return the packages of a pylock.toml.

    Args:
        path: the file.
        root: the project.

    Raises:
        LockFileError: the file cannot be read, or PEP 751 does not allow what is in it.
    """
    folders = _Folders(path.parent, root.resolve())
    try:
        lock = Pylock.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
        return tuple(_package(entry, folders) for entry in lock.packages)
    except (OSError, ValueError, TypeError, RecursionError, PylockValidationError) as error:
        raise LockFileError(path.name, error, hint="Update uv, or report it to its authors.") from error


def read_requirers(text: str, packages: Iterable[Package]) -> dict[str, set[str]]:
    """Return what requires each package, from ``name==version  # via other, another`` lines.

    Args:
        text: a requirements file.
        packages: what is in it; a file stands there by its path or URL, without a name.
    """
    files = [(package, (*package.wheels, package.archive)) for package in packages if package.direct]
    names = {file.filename: package.name for package, all_of in files for file in all_of if file}
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        name = _name_of(line, names)
        via = _REQUIRED_BY.search(line)
        if name and via:
            parents = [parent.strip().partition("[")[0] for parent in via["parents"].split(",")]
            found[name] = {canonicalize_name(parent) for parent in parents if not parent.startswith("-")}
    return found


def _name_of(line: str, names: Mapping[str, str]) -> str | None:
    named = _NAMED.match(line)
    if named:
        return canonicalize_name(named["name"])
    return names.get(urls.filename_of(line.partition("  # via ")[0].strip()))


@dataclass(frozen=True)
class _Folders:
    lock: Path
    """Where the lock file is."""
    root: Path
    """Where the project is."""

    def file(self, known: PackageWheel | PackageSdist | PackageArchive) -> File:
        """Return a file with its URL. PEP 751: a path is relative to the lock file."""
        url = (known.url or "").partition("#")[0]
        if not url or urls.split(url).scheme == "file":
            path = urls.local_path(url) if url else self.lock / (known.path or "")
            # Without following links: what is linked into the project is in the project.
            path = Path(os.path.normpath(path.absolute()))
            url = f"./{path.relative_to(self.root)}" if path.is_relative_to(self.root) else path.as_uri()
        name = urls.filename_of(url) if isinstance(known, PackageArchive) else known.filename
        return File(
            name, url, known.hashes.get("sha256"), None if known.size is None else size_of(known.size)
        )


def _package(entry: LockedPackage, folders: _Folders) -> Package:
    archive = folders.file(entry.archive) if entry.archive else None
    wheels = [folders.file(wheel) for wheel in entry.wheels or ()]
    if archive and archive.filename.endswith(".whl"):
        wheels, archive = [archive], None
    source = entry.vcs or entry.directory or entry.archive
    return Package(
        name=entry.name,
        version=str(entry.version or ""),
        marker=entry.marker,
        wheels=tuple(wheels),
        sdist=folders.file(entry.sdist) if entry.sdist else None,
        archive=archive,
        checkout=Checkout(
            entry.vcs.url or entry.vcs.path or "", entry.vcs.commit_id, entry.vcs.requested_revision or ""
        )
        if entry.vcs
        else None,
        folder=entry.directory.path if entry.directory else "",
        subdirectory=(source and source.subdirectory) or "",
        direct=source is not None,
    )
