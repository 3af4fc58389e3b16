"""What is in a file system, and since when."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ownership import Ownership

Times = dict[str, int]
"""Inode change time of everything, in nanoseconds, by path."""

MOUNTS = ("proc", "sys", "dev")
"""Folders of a root file system that others are mounted on while commands run."""


def walk(
    root: Path, below: str = "", *, closed: tuple[str, ...] = ()
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield ``(path relative to root, lstat)`` of everything below a folder, parents first, in a fixed order.

    Args:
        root: what paths are relative to.
        below: the folder, relative to it; nothing is yielded where there is none.
        closed: folders that are yielded, but not what is in them.
    """
    pending = [below] if (root / below).is_dir() else []
    while pending:
        folder = pending.pop()
        with os.scandir(root / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = f"{folder}/{entry.name}".lstrip("/")
                yield path, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False) and path not in closed:
                    pending.append(path)


def take(root: Path, *, closed: tuple[str, ...] = ()) -> Times:
    """Return the inode change time of everything that :func:`walk` yields."""
    return {path: info.st_ctime_ns for path, info in walk(root, closed=closed)}


def differences(
    before: Times, after: Mapping[str, os.stat_result], asked: Ownership | None = None
) -> tuple[list[str], set[str]]:
    """Return the paths that came or changed, and those that went.

    Args:
        before: a snapshot.
        after: everything that :func:`walk` yields later.
        asked: owners that were asked for in between, which leave no trace in the file system.
    """
    changed = [
        path
        for path, info in after.items()
        if before.get(path) != info.st_ctime_ns or (asked is not None and asked.concerns(info.st_ino))
    ]
    return changed, before.keys() - after.keys()
