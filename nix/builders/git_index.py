"""Git's indexes without what they remember of the file system: times, devices, inodes and owners.

Git looks again when it is asked, and another run of the same command writes the same index.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_ENTRY_FIXED = 62
"""Bytes of an index entry before its name (gitformat-index(5))."""
_STAT_BYTES = 24
"""ctime, mtime, device and inode."""
_SUPPORTED = (2, 3)
_EXTENDED = 0x4000


def clear_all(root: Path, changed: Iterable[str]) -> None:
    """Take what Git remembers of the file system out of its indexes; it looks again when it is asked."""
    for path in changed:
        if path.rpartition("/")[2] == "index" and (root / path).parent.joinpath("HEAD").is_file():
            data = (root / path).read_bytes()
            if (plain := without_times(data)) is not None:
                (root / path).write_bytes(plain)


def without_times(index: bytes) -> bytes | None:
    """Return a Git index without times, devices, inodes and owners; None when it is no index that we know.

    See gitformat-index(5). Sizes stay: Git takes an entry whose size differs as changed without looking.
    """
    if len(index) < 32 or index[:4] != b"DIRC":  # noqa: PLR2004 - header and checksum
        return None
    version, count = struct.unpack_from(">LL", index, 4)
    if version not in _SUPPORTED:
        return None
    try:
        data = _without_times(bytearray(index[:-20]), count)
    except (struct.error, ValueError):  # it ends in the middle of an entry
        return None
    return data + hashlib.sha1(data).digest()  # noqa: S324 - Git's own checksum


def _without_times(data: bytearray, count: int) -> bytes:
    position = 12
    for _ in range(count):
        data[position : position + _STAT_BYTES] = bytes(_STAT_BYTES)
        data[position + 28 : position + 36] = bytes(8)  # uid and gid
        (flags,) = struct.unpack_from(">H", data, position + 60)
        name = position + _ENTRY_FIXED + (2 if flags & _EXTENDED else 0)
        end = data.index(0, name)
        position += (end - position) // 8 * 8 + 8
    return bytes(data)
