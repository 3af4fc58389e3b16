"""Temporary folders and half-written files: made here; what a killed process left, the next run removes.

Whoever makes one writes its path to a record first: ``running/PID-…`` in the cache, which is locked as long
as the process lives (flock(2)). A record that is not locked is a dead process's: what it names is removed,
then the record itself. So a run that finds no records has nothing to look for, wherever something may lie,
and a process of another container or machine that shares the cache is left alone.

Where the cache cannot be written, nothing is recorded, and everything else is done all the same.
"""

# Text throughout, because who only sweeps does not import pathlib:
# ruff: noqa: PTH100, PTH101, PTH103, PTH108, PTH110, PTH112, PTH116, PTH119, PTH208

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.system.paths import cache_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDS = "running"
"""Name of the folder of records in the cache."""

_OURS = "cog-nix-"
"""In each name; nothing else is ever removed."""
_lock = threading.Lock()
_record: list[int] = []
"""Descriptor of this process's record, once there is one; -1: there can be none."""
_here: set[str] = set()
"""What this process has made and not removed yet."""


@contextmanager
def folder(kind: str, parent: Path | None = None, mode: int = 0o700) -> Iterator[Path]:
    """Make a folder; remove it afterwards, if it is there still.

    Args:
        kind: a word for its name.
        parent: the folder to make it in; None: the one for temporary files (TMPDIR).
        mode: its permissions.

    Raises:
        OSError: it cannot be made.
    """
    path = reserve(kind, parent)
    try:
        path.mkdir(mode=0o700)
        path.chmod(mode)
        yield path
    finally:
        release(path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield a path in the folder of another one, for what is written there and then renamed to it.

    Nothing is there yet; whatever is there afterwards is removed.
    """
    new = reserve("new", path.parent)
    try:
        yield new
    finally:
        release(new)


def reserve(kind: str, parent: Path | None = None) -> Path:
    """Return a path at which nothing is, and which is removed when this process is gone.

    Args:
        kind: a word for its name.
        parent: the folder it is in; None: the one for temporary files (TMPDIR).

    Raises:
        OSError: there is no folder for temporary files.
    """
    from pathlib import Path  # noqa: PLC0415 - as said above

    return Path(reserve_text(kind, None if parent is None else str(parent.absolute())))


def reserve_text(kind: str, parent: str | None = None, suffix: str = "") -> str:
    """Return what :func:`reserve` does, as text.

    Raises:
        OSError: there is no folder for temporary files.
    """
    name = f"{_OURS}{kind}-{os.urandom(6).hex()}{suffix}"
    path = f"{temporary_path()}/{name}" if parent is None else f"{parent}/.{name}"
    with _lock:
        if not _record:
            _record.append(_new_record())
        _here.add(path)
        if _record[0] >= 0:
            with suppress(OSError):  # the disk is full, which others will say
                os.write(_record[0], os.fsencode(path) + b"\0")
    return path


def release(path: Path) -> None:
    """Remove what is at a reserved path, if anything is, and forget it."""
    release_text(str(path))


def release_text(path: str) -> None:
    """Do what :func:`release` does."""
    remove(path)
    if not os.path.lexists(path):  # a thread or a child that is just ending may have written to it meanwhile
        _here.discard(path)


def sweep() -> None:
    """Remove what processes left that are gone."""
    try:
        parent = f"{cache_path()}/{RECORDS}"
        names = os.listdir(parent)
    except (OSError, CogNixError):
        return
    for name in names:
        with suppress(OSError):
            _sweep(f"{parent}/{name}")


def remove(path: str) -> None:
    """Remove a file, link, or folder whatever its modes (overlayfs makes folders that nobody may read)."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if not stat.S_ISDIR(mode):
        with suppress(OSError):
            os.unlink(path)
        return
    import shutil  # noqa: PLC0415 - only where there is something to remove

    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        for name, _, _ in os.walk(path):
            with suppress(OSError):
                os.chmod(name, 0o700)
        shutil.rmtree(path, ignore_errors=True)


def temporary_path() -> str:
    """Return the folder for temporary files, as :func:`tempfile.gettempdir` does, whose import takes 5 ms.

    Raises:
        OSError: there is none.
    """
    named = filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP")))
    for path in (*named, "/tmp", "/var/tmp"):  # noqa: S108 - the names in it are random
        if os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK):
            return os.path.abspath(path)
    raise OSError(errno.ENOENT, "there is no folder for temporary files that can be written to", "/tmp")  # noqa: S108 - as above


def _sweep(record: str) -> None:
    """Remove what a record names, and the record, if its owner is gone."""
    descriptor = os.open(record, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = [*filter(_is_ours, map(os.fsdecode, stream.read().split(b"\0")))]
        for path in ours:
            remove(path)
        if not any(map(os.path.lexists, ours)):  # a child may have outlived its parent by a moment
            os.unlink(record)


def _is_ours(path: str) -> bool:
    name = os.path.basename(path).removeprefix(".")
    with suppress(OSError):
        return path.startswith("/") and name.startswith(_OURS) and os.lstat(path).st_uid == os.geteuid()
    return False


def _new_record() -> int:
    """Make this process's record and lock it; return its descriptor, -1 where that cannot be done."""
    with suppress(OSError, CogNixError):
        parent = f"{cache_path()}/{RECORDS}"
        path = f"{parent}/{os.getpid()}-{os.urandom(4).hex()}"
        os.makedirs(parent, exist_ok=True)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.path.exists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    atexit.register(_end, path)
                    return descriptor
            except OSError:
                os.unlink(path)
                os.close(descriptor)
                raise
            os.close(descriptor)  # another process swept it before it was locked
    return -1


def _end(record: str) -> None:
    """Remove what threads left that nobody waited for, and the record."""
    for path in list(_here):
        release_text(path)
    if _here:
        return  # the next run has a try
    with suppress(OSError):
        os.unlink(record)
