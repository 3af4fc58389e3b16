"""Reads what uv wrote: ``pylock.toml`` (PEP 751) and the annotations of a requirements file."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from cog_nix.errors import LockError
from cog_nix.fetch import urls
from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_REQUIRED_BY = re.compile(r"\s+# via (?P<parents>.+)$")
_NAMED = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:===?|@)")


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
    marker: str
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


def read_pylock(path: Path, root: Path) -> tuple[Package, ...]:
    """Return the packages of a pylock.toml.

    Args:
        path: the file.
        root: the project.

    Raises:
        LockError: it is none.
    """
    places = _Places(path.parent, root.resolve())
    try:
        known = tomllib.loads(path.read_text(encoding="utf-8"))
        return tuple(_package(mapping_of(entry), places) for entry in list_of(known.get("packages", [])))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LockError(
            f"What uv resolved cannot be read ({path.name}): {error}", hint="Update uv, or tell its authors."
        ) from error


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
class _Places:
    folder: Path
    """Where the lock file is."""
    root: Path
    """Where the project is."""

    def url(self, known: Mapping[str, Any]) -> str:
        """Return a file's URL. PEP 751: a path is relative to the lock file; one of url and path is there."""
        url = str(known.get("url") or "").partition("#")[0]
        if url and urls.split(url).scheme != "file":
            return url
        path = urls.local_path(url) if url else self.folder / text_of(known["path"])
        # Without following links: what is linked into the project is in the project.
        path = Path(os.path.normpath(path.absolute()))
        return f"./{path.relative_to(self.root)}" if path.is_relative_to(self.root) else path.as_uri()


def _package(entry: Mapping[str, Any], places: _Places) -> Package:
    archive = _file(entry["archive"], places) if "archive" in entry else None
    wheels = [_file(known, places) for known in list_of(entry.get("wheels", []))]
    if archive and archive.filename.endswith(".whl"):
        wheels, archive = [archive], None
    vcs, directory = (mapping_of(entry.get(name) or {}) for name in ("vcs", "directory"))
    source = vcs or directory or mapping_of(entry.get("archive") or {})
    return Package(
        name=canonicalize_name(text_of(entry["name"])),
        version=str(entry.get("version", "")),
        marker=text_of(entry.get("marker", "")),
        wheels=tuple(file for file in wheels if file.filename.endswith(".whl")),
        sdist=_file(entry["sdist"], places) if "sdist" in entry else None,
        archive=archive,
        checkout=_checkout(vcs) if vcs else None,
        folder=str(directory.get("path", "")) if directory else "",
        subdirectory=str(source.get("subdirectory", "")),
        direct=bool(source),
    )


def _checkout(vcs: Mapping[str, Any]) -> Checkout:
    return Checkout(str(vcs["url"]), str(vcs["commit-id"]), str(vcs.get("requested-revision", "")))


def _file(found: object, places: _Places) -> File:
    known = mapping_of(found)
    url, size = places.url(known), known.get("size")
    sha256 = mapping_of(known.get("hashes", {})).get("sha256")
    return File(
        filename=text_of(known.get("name") or urls.filename_of(url)),
        url=url,
        sha256=None if sha256 is None else text_of(sha256),
        size=None if size is None else size_of(size),
    )
