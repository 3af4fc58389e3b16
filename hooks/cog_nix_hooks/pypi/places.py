"""Where a package comes from, in the lock's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.fetch import git
from cog_nix.lock.model import Source
from cog_nix_hooks.pypi.pylock import File

if TYPE_CHECKING:
    from cog_nix.lock.model import Artifact
    from cog_nix_hooks.pypi.pylock import Package

PROJECT = "/src"
"""Where the image has the project."""

_SHORT = 12
"""Digits of a commit that a file name shows."""


def source(package: Package) -> Source | None:
    """Return what kind of source a package has, if any; what its build takes is found out later."""
    if package.checkout:
        return Source("git", subdirectory=package.subdirectory, revision=package.checkout.revision)
    if package.archive:
        return Source("archive", subdirectory=package.subdirectory)
    return Source("sdist") if package.sdist else None


def file(package: Package) -> File:
    """Return the source archive of a package; that of a commit is still to be made.

    Raises:
        LockError: it is a folder.
    """
    if package.checkout:
        repository = git.public(package.checkout.url)
        commit = package.checkout.commit
        return File(f"{package.name}-{commit[:_SHORT]}.tar", f"git+{repository}@{commit}", None, None)
    found = package.archive or package.sdist
    if found is None:
        raise LockError(
            f"{package.name} is the folder {package.folder}; requirements are installed before the project"
            " is in the image, as with cog",
            hint="Name an archive of it (./dist/NAME-1.0.tar.gz).",
        )
    return found


def origin(package: Package, artifact: Artifact) -> str:
    """Return what ``pip freeze`` shows behind ``NAME @`` for a direct reference (PEP 610); "" for others.

    Args:
        package: what was resolved.
        artifact: its file; one in the project is shown where the image has it.
    """
    if not package.direct:
        return ""
    url = artifact.url
    if url.startswith("./"):
        url = f"file://{PROJECT}/{url.removeprefix('./')}"
    fragments = [] if package.checkout else [f"sha256={artifact.sha256}"]
    fragments += [f"subdirectory={package.subdirectory}"] if package.subdirectory else []
    return f"{url}#{'&'.join(fragments)}" if fragments else url
