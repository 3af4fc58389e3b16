"""Tables of mounts, which mount(8) makes all at once (fstab(5))."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LOCKED = {os.ST_NOSUID: "nosuid", os.ST_NODEV: "nodev", os.ST_NOEXEC: "noexec"}
"""What a mount that was there before a user namespace keeps (mount_namespaces(7))."""


def line(source: str | Path, target: Path, kind: str, options: str) -> str:
    """Return a line for one mount."""
    return " ".join([*map(_escaped, (str(source), str(target), kind, options)), "0", "0"])


def read_only(folder: Path) -> str:
    """Return the line that makes a folder, with all that is mounted below it, a mount that is read-only."""
    return line(folder, folder, "none", ",".join(["rbind", "ro", *_kept(folder)]))


def bound(source: Path, target: Path) -> str:
    """Return the line that shows a file somewhere else, to read."""
    return line(source, target, "none", ",".join(["bind", "ro", *_kept(source)]))


def _kept(path: Path) -> list[str]:
    flags = os.statvfs(path).f_flag
    return [name for flag, name in _LOCKED.items() if flags & flag]


def write(path: Path, lines: Iterable[str]) -> None:
    """Write a table."""
    path.write_text("".join(f"{one}\n" for one in lines), encoding="utf-8", errors="surrogateescape")


def _escaped(word: str) -> str:
    return "".join(f"\\{ord(one):03o}" if one in " \t\n\\#" else one for one in word)
