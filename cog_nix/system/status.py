"""What tells whether a file is the same without reading it, as Git's index does.

The kernel alone sets a file's time of change (``st_ctim``), at every write, rename and change of mode. So an
equal status is an equal file, unless it changed so shortly before it was looked at that it could change again
within the same tick of the clock. See docs/design/unchanged.md.
"""

from __future__ import annotations

import os

TICK_NS = 30_000_000
"""A file that changed so shortly before it was looked at may change again without a trace. Kernels count in
ticks of 1 to 10 ms."""
_COARSE_TICK_NS = 3_000_000_000
"""The same on file systems that count in seconds, or in two of them as FAT does."""
_OTHER_CLOCK_NS = 3_600_000_000_000
"""The same on another file system than the project's, whose clock may be a server's."""
_ROUND_NS = 10_000_000

Status = list[int]
"""Device, inode, mode, size, modification and change in ns."""


def of(info: os.stat_result) -> Status:
    """Return what tells a file by the kernel's answer."""
    return [info.st_dev, info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns]


def status(path: str, *, follow: bool = False) -> Status | None:
    """Return what tells whether a file is the same; None when it is not there."""
    try:
        info = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - text
    except (OSError, ValueError):
        return None
    return of(info)


def kind_of(entry: os.DirEntry[str]) -> str:
    """Return what a folder's entry is: ``d`` a folder, ``f`` a file or a link, ``-`` something else."""
    if entry.is_dir(follow_symlinks=False):
        return "d"
    return "f" if entry.is_symlink() or entry.is_file() else "-"


def unchanged_for_long(found: Status | None, began: int, device: int) -> bool:
    """Tell whether a file changed long enough before a build began.

    Args:
        found: the file's status; None: yes, a file that appears is noticed.
        began: what :func:`cog_nix.build.unchanged.clock` said.
        device: the file system of that clock.
    """
    if found is None:
        return True
    changed = found[-1]
    if found[0] != device:
        return changed < began - _OTHER_CLOCK_NS
    return changed < began - (TICK_NS if changed % _ROUND_NS else _COARSE_TICK_NS)
