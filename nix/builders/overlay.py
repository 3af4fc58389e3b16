"""A writable file system over one in memory: what a command writes goes to disk, what it reads need not.

Unpacking a build's whole system takes a second into memory and ten onto a busy disk; what commands download
may be larger than memory.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from confinement import NEW_MOUNTS, NamespaceError, enter, mount

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEMORY = Path("/dev/shm")  # noqa: S108 - the sandbox's own
_SPARE = 2


def room(fragments: Sequence[Path]) -> Path | None:
    """Return a folder in memory for the fragments' files; None when they would take more than half."""
    need = sum((fragment / "files.tar").stat().st_size for fragment in fragments)
    if not _MEMORY.is_dir() or min(shutil.disk_usage(_MEMORY).free, _available()) < _SPARE * need:
        return None
    folder = _MEMORY / "lower"
    folder.mkdir()
    return folder


def _available() -> int:
    """Return how many bytes of memory can be had (proc_meminfo(5))."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def become_root() -> bool:
    """Make this process root of a user namespace of its own, with its own mounts; say whether it can."""
    with suppress(NamespaceError):
        enter(NEW_MOUNTS, 0)
        return True
    return False


def mounted(lower: Path, upper: Path, root: Path) -> bool:
    """Show ``upper`` laid over ``lower``, which is not changed, at ``root``; say whether this kernel can.

    It cannot before Linux 5.11, nor where ``upper`` is on an overlay itself (Linux, "Overlay Filesystem").
    """
    work = upper.with_name(f"{upper.name}.work")
    work.mkdir()
    with suppress(NamespaceError):
        mount("overlay", root, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work},userxattr")
        return True
    return False


def lay_over(lower: Path, upper: Path) -> Path:
    """Return a folder where what is in ``upper`` is seen over ``lower``: ``upper`` itself, if need be."""
    root = upper.with_name(f"{upper.name}.seen")
    root.mkdir()
    if become_root() and mounted(lower, upper, root):
        return root
    _complete(lower, upper)
    return upper


def _complete(lower: Path, upper: Path) -> None:
    """Copy what is not in ``upper`` yet."""
    for entry in os.scandir(lower):
        target = upper / entry.name
        if entry.is_dir(follow_symlinks=False):
            target.mkdir(exist_ok=True)
            _complete(Path(entry.path), target)
        elif not os.path.lexists(target):
            shutil.copy2(entry.path, target, follow_symlinks=False)
            if not entry.is_symlink():
                target.chmod(target.stat().st_mode | 0o200)
