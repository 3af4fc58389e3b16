"""The project's large files, weights above all: a layer of their own, which no edit of the source touches."""

from __future__ import annotations

import os
import stat
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LEAST = 10 << 20
"""Bytes from which on a file is large: what upstream's ``--separate-weights`` goes by."""


def large_files(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """Yield those of a project's paths that are large files; links are none.

    Args:
        root: the project.
        paths: relative to it.
    """
    for path in paths:
        try:
            info = os.lstat(f"{root}/{path}")
        except OSError:
            continue  # it went while we looked; whoever reads it tells
        if is_large(info.st_mode, info.st_size):
            yield path


def is_large(mode: int, size: int) -> bool:
    """Tell whether a file of this mode and size (bytes) is one."""
    return stat.S_ISREG(mode) and size >= LEAST


def with_folders(paths: Iterable[str]) -> dict[str, int]:
    """Return paths and the folders above them as ``nix/default.nix`` takes a selection of files."""
    found: dict[str, int] = {}
    for path in paths:
        above = [str(folder) for folder in PurePosixPath(path).parents]
        found |= dict.fromkeys([*above, path], 1)
    return found
