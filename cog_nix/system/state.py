"""``.cog``: what is remembered of a project between builds.

A project is copied with its links resolved, moved to another machine, or built by several versions of
cog-nix, and its ``.cog`` with it. So whatever is there is a hint: what cannot be read counts as not there,
and what is in the way of something new is removed. Nothing in this folder is the user's.
"""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

from cog_nix.system.files import UnwritableError, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = ".cog"
"""Name of the folder in a project."""
_ADVICE = "Fix the permissions, or remove {}, then run again."


def recall(mark: Path) -> str:
    """Return what :func:`remember` wrote; "" when it is not there, or something else is."""
    try:
        return mark.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def remember(mark: Path, text: str) -> None:
    """Write a text, in the place of whatever is there.

    Raises:
        CogNixError: the folder is not writable or the disk is full.
    """
    make_folder(mark.parent)
    make_way(mark, stat.S_ISREG)
    write_atomically(mark, text.encode())


def make_folder(folder: Path) -> None:
    """Make a folder of the state, in the place of a broken link, or of a file in ``.cog``.

    Raises:
        CogNixError: it cannot be made.
    """
    if folder.is_dir():
        return
    if folder.is_symlink() or folder.name != NAME:
        make_way(folder, stat.S_ISDIR)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableError(folder, error, hint=_ADVICE.format(folder)) from error


def make_way_for_link(link: Path) -> None:
    """Remove what is no link from where Nix makes one: a copy of what such a link led to.

    Raises:
        CogNixError: it cannot be removed.
    """
    make_folder(link.parent)
    make_way(link, stat.S_ISLNK)


def make_way(path: Path, fitting: Callable[[int], bool]) -> None:
    """Remove what is at a path, unless it is of the fitting kind.

    Args:
        path: in ``.cog``, or that folder's.
        fitting: tells it by its mode, as :func:`stat.S_ISREG` does.

    Raises:
        CogNixError: it cannot be removed.
    """
    try:
        mode = path.lstat().st_mode
        if fitting(mode):
            return
        if stat.S_ISDIR(mode):
            _remove(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnwritableError(path, error, hint=_ADVICE.format(path)) from error


def _remove(folder: Path) -> None:
    """Remove a folder, also a copy of the store's, whose folders are not writable."""
    for name, _, _ in os.walk(folder):
        os.chmod(name, 0o700)  # noqa: PTH101 - os.walk yields text
    shutil.rmtree(folder)
