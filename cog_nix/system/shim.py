"""A program named ``cog`` that is cog-nix, and upstream's ``cog`` behind it on the PATH.

The shim is a shell script of three lines, so that it starts the Python that cog-nix is installed in wherever
it is called from. A mark in it tells it from upstream's program.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = "cog"
UPSTREAM = "COG_NIX_UPSTREAM"
"""Environment variable with the path of upstream's program, where the PATH does not lead to it."""
HANDED_TO = "COG_NIX_HANDED_TO"
"""Environment variable with the program that a command was handed to: if it leads back here, it is a shim."""

_MARK = b"# cog-nix's stand-in for cog"
_HEAD = 512


class NotAShimError(CogNixError):
    """A program is in the way that somebody else has put there.

    Args:
        path: of the program.
        hint: what to do next.
    """

    def __init__(self, path: Path, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} is not a shim of cog-nix; it stays as it is."


@dataclass(frozen=True)
class Status:
    """What ``cog`` is, for a given PATH."""

    shims: tuple[Path, ...]
    """Shims on the PATH, in its order."""
    upstream: Path | None
    """Upstream's program."""
    first: Path | None
    """What ``cog`` runs now."""

    @property
    def active(self) -> bool:
        """Whether ``cog`` runs a shim."""
        return self.first is not None and self.first in self.shims


def script(python: str = sys.executable) -> str:
    """Return the shim for a Python; ``-P`` keeps the files of the current folder from being imported."""
    return (
        f"#!/bin/sh\n{_MARK.decode()}; `cog-nix shim remove` removes it\n"
        f'exec {shlex.quote(python)} -P -m cog_nix.cli.cog "$@"\n'
    )


def default_folder() -> Path:
    """Return where a user's own programs are (XDG Base Directory Specification)."""
    return Path.home() / ".local/bin"


def is_shim(path: Path) -> bool:
    """Whether a file is a shim, of this or of another version."""
    try:
        with path.open("rb") as stream:
            return _MARK in stream.read(_HEAD)
    except OSError:
        return False


def install(folder: Path) -> Path:
    """Write the shim.

    Args:
        folder: where it goes; made when it is not there.

    Returns:
        Its path.

    Raises:
        NotAShimError: there is another ``cog`` there.
        UnwritableError: the folder cannot be written to.
    """
    path = folder / NAME
    if (path.exists() or path.is_symlink()) and not is_shim(path):
        hint = "Choose a folder that comes before it on the PATH:  cog-nix shim install --dir FOLDER"
        raise NotAShimError(path, hint=hint)
    write_atomically(path, script().encode(), 0o755)
    return path


def remove(folder: Path) -> Path | None:
    """Remove the shim from a folder; return its path, or None when there is none.

    Raises:
        NotAShimError: the ``cog`` there is no shim.
    """
    path = folder / NAME
    if not path.exists() and not path.is_symlink():
        return None
    if not is_shim(path):
        raise NotAShimError(path, hint="cog-nix shim status shows where one is.")
    path.unlink()
    return path


def status(environment: Mapping[str, str] = os.environ) -> Status:
    """Look at all programs named ``cog``."""
    found = tuple(_programs(environment))
    shims = tuple(path for path in found if is_shim(path))
    return Status(shims, find_upstream(environment), found[0] if found else None)


def find_upstream(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return upstream's ``cog``: what ``COG_NIX_UPSTREAM`` names, or the first on the PATH that is no shim.

    Args:
        environment: where both variables are looked up.
    """
    if named := environment.get(UPSTREAM):
        path = Path(named).absolute()
        return path if _runs(path) and not _leads_back(path, environment) else None
    return next((path for path in _programs(environment) if not _leads_back(path, environment)), None)


def _leads_back(path: Path, environment: Mapping[str, str]) -> bool:
    """Whether a program is known to start cog-nix: a shim, or a wrapper that has done so just now."""
    return is_shim(path) or str(path) == environment.get(HANDED_TO)


def require_upstream(what: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return upstream's program.

    Raises:
        CogNixError: there is none.
    """
    path = find_upstream(environment)
    if path is None:
        raise CogNixError(
            f"{what} is left to Replicate's cog, and there is none on the PATH.",
            hint=f"Install cog, or name its program in {UPSTREAM}.",
        )
    return path


def _programs(environment: Mapping[str, str]) -> Iterator[Path]:
    for folder in environment.get("PATH", os.defpath).split(os.pathsep):
        path = Path(folder, NAME).absolute()
        if _runs(path):
            yield path


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
