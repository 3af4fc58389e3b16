"""A writable file system over one in memory: what a command writes goes to disk, what it reads need not.

Unpacking a build's whole system takes a second into memory and ten onto a busy disk; what commands download
may be larger than memory.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

_libc = ctypes.CDLL(None, use_errno=True)
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000  # linux/sched.h
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
    """Make this process root of a user namespace of its own, with its own mounts (user_namespaces(7))."""
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_NEW_USER | _NEW_MOUNTS):
        return False
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    return True


def mount(lower: Path, root: Path) -> bool:
    """Lay a file system on disk over ``lower`` and show it at ``root``; say whether this kernel can."""
    work = inputs.scratch() / "overlay"
    for name in ("upper", "work"):
        (work / name).mkdir(parents=True)
    options = f"lowerdir={lower},upperdir={work}/upper,workdir={work}/work,userxattr"
    return not _libc.mount(b"overlay", os.fsencode(root), b"overlay", ctypes.c_ulong(0), options.encode())
