"""Who owns what and which special bits it has, where the file system itself cannot say.

Inside a build everything belongs to its one user. What programs ask for with chown(2) and setuid bits is
written down here instead, by inode, so that it follows a file when it is renamed. An inode number alone may
be used again after its file is gone; with the time of birth it is not (statx(2)).
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import struct
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

# linux/stat.h
_AT_FDCWD, _AT_EMPTY_PATH, _AT_SYMLINK_NOFOLLOW = -100, 0x1000, 0x100
_STATX_INO, _STATX_BTIME = 0x100, 0x800
_STATX_SIZE = 256
_MASK, _INODE, _BIRTH, _DEVICE = 0, 32, 80, 136
"""Offsets of ``stx_mask``, ``stx_ino``, ``stx_btime`` and ``stx_dev_major`` in ``struct statx``."""

SPECIAL = stat.S_ISUID | stat.S_ISGID

Key = tuple[int, int, int, int]
"""Device (major, minor), inode, and birth in nanoseconds since 1970; 0 where the file system has none."""


@dataclass(frozen=True)
class Change:
    """What was asked for a file; None: nothing was."""

    uid: int | None = None
    gid: int | None = None
    special: int | None = None
    """Setuid and setgid bits."""
    capability: str | None = None
    """The attribute ``security.capability`` (capabilities(7)), a character of Latin-1 a byte."""


class Ownership:
    """What was asked for every file that anything was asked for.

    Args:
        layered: whether the files are on an overlay, where changing a file of a lower layer makes it another.
    """

    def __init__(self, *, layered: bool = False) -> None:
        self.layered = layered
        self._changes: dict[Key, Change] = {}
        self._inodes: set[int] = set()

    def __len__(self) -> int:
        return len(self._changes)

    def chown(self, key: Key, uid: int, gid: int, *, folder: bool) -> None:
        """Note a change of owner (chown(2)): -1 leaves that part; a file loses special bits and rights."""
        change = self._changes.get(key, Change())
        self._changes[key] = Change(
            change.uid if uid == -1 else uid,
            change.gid if gid == -1 else gid,
            change.special if folder else 0,
            None,
        )

    def chmod(self, key: Key, mode: int) -> None:
        """Note a mode with special bits (chmod(2))."""
        self._changes[key] = replace(self._changes.get(key, Change()), special=mode & SPECIAL)

    def allow(self, key: Key, capability: bytes) -> None:
        """Note a file's capabilities (setcap(8))."""
        change = self._changes.get(key, Change())
        self._changes[key] = replace(change, capability=capability.decode("latin-1"))

    def concerns(self, inode: int) -> bool:
        """Say whether anything may have been asked for the file of an inode."""
        return inode in self._inodes

    def of(self, path: Path, inode: int) -> Change:
        """Return what was asked for a file, links not followed, whose inode number is known."""
        if inode not in self._inodes:
            return Change()
        return self._changes.get(identify(str(path)), Change())

    def dump(self) -> bytes:
        """Return everything as JSON."""
        rows = [[*key, *astuple(change)] for key, change in self._changes.items()]
        return json.dumps(rows).encode()

    def update(self, dumped: bytes) -> None:
        """Take over what :meth:`dump` gave, which began as a copy of this one."""
        self._changes = {(row[0], row[1], row[2], row[3]): Change(*row[4:]) for row in json.loads(dumped)}
        self._inodes = {inode for _, _, inode, _ in self._changes}


def identify(where: str | int) -> Key:
    """Return what tells a file from all others, now and later.

    Args:
        where: a path, links not followed, or an open file.

    Raises:
        OSError: there is no such file.
    """
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    folder, path, flags = (
        (where, b"", _AT_EMPTY_PATH)
        if isinstance(where, int)
        else (_AT_FDCWD, os.fsencode(where), _AT_SYMLINK_NOFOLLOW)
    )
    if _libc.statx(folder, path, flags, _STATX_INO | _STATX_BTIME, buffer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), where)
    (mask,) = struct.unpack_from("=I", buffer, _MASK)
    (inode,) = struct.unpack_from("=Q", buffer, _INODE)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _BIRTH)
    major, minor = struct.unpack_from("=II", buffer, _DEVICE)
    birth = seconds * 1_000_000_000 + nanoseconds if mask & _STATX_BTIME else 0
    return (major, minor, inode, birth)
