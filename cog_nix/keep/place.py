"""Where kept models listen: a folder for each, in one that this user alone can enter.

It is in ``XDG_RUNTIME_DIR``, which is gone when the machine starts again, or else in the cache. The name of a
model's folder says what it was started for, without anything that could be a secret::

    SLOT-RANDOM/socket    SLOT: a digest of the project, the image's name and the runtime
    SLOT-RANDOM/lock      locked as long as its keeper lives (flock(2)); it begins with the lock held
"""

# Text throughout: the quick answer does not import pathlib.
# ruff: noqa: PTH102, PTH208

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cog_nix import __version__
from cog_nix.keep.failures import UnsafePlaceError
from cog_nix.system.paths import cache_path
from cog_nix.system.scratch import remove

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET, LOCK = "socket", "lock"
_NAME = "kept"
_STARTING = "starting.lock"
_PRIVATE = 0o700


def parent() -> str:
    """Return the folder of all; it need not be there.

    Raises:
        CogNixError: there is no home folder either.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and _is_private(runtime):
        return f"{runtime}/cog-nix/{_NAME}"
    return f"{cache_path()}/{_NAME}"


def make_parent() -> str:
    """Make the folder of all and return it.

    Raises:
        UnsafePlaceError: somebody else could enter it.
        OSError: it cannot be made.
    """
    path = parent()
    os.makedirs(os.path.dirname(path), mode=_PRIVATE, exist_ok=True)  # noqa: PTH103, PTH120
    with suppress(FileExistsError):
        os.mkdir(path, _PRIVATE)
    if not _is_private(path):
        raise UnsafePlaceError(path, "others can enter it, or it is not a folder of this user")
    return path


def slot(root: str, reference: str, runtime: str) -> str:
    """Return what the names of models begin with that stand for the same, whatever has changed in it."""
    words = json.dumps([__version__, os.geteuid(), root, reference, runtime])
    return hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def names(beginning: str = "") -> list[str]:
    """Return the names of folders, of models that may have ended."""
    path = parent()
    if not _is_private(path):
        return []
    return sorted(name for name in os.listdir(path) if "-" in name and name.startswith(beginning))


def make(beginning: str) -> tuple[str, socket.socket, int]:
    """Make a model's folder, with a socket that listens and a lock that is held.

    Returns:
        The folder's name, and what its keeper is to inherit: the socket, and the descriptor of the lock.

    Raises:
        UnsafePlaceError: there is no place for it.
        OSError: it cannot be made.
    """
    name = f"{beginning}-{os.urandom(6).hex()}"
    folder = f"{make_parent()}/{name}"
    os.mkdir(folder, _PRIVATE)
    lock = os.open(f"{folder}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    server = socket.socket(socket.AF_UNIX)
    with _short(folder) as short:
        server.bind(f"{short}/{SOCKET}")
    server.listen(64)
    return name, server, lock


def connect(name: str) -> socket.socket:
    """Connect to a model's keeper.

    Raises:
        OSError: it has ended, or the folder is not this user's alone.
    """
    folder = f"{parent()}/{name}"
    if not _is_private(folder):
        raise PermissionError(folder)
    connection = socket.socket(socket.AF_UNIX)
    try:
        with _short(folder) as short:
            connection.connect(f"{short}/{SOCKET}")
    except OSError:
        connection.close()
        raise
    return connection


def sweep() -> None:
    """Remove what keepers left that were killed, or that ran before the machine's last start."""
    base = parent()
    for name in names():
        with suppress(OSError):
            lock = os.open(f"{base}/{name}/{LOCK}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(f"{base}/{name}")
            finally:
                os.close(lock)


@contextmanager
def starting() -> Iterator[None]:
    """Be the only one that looks for keepers and starts them, for a moment.

    Raises:
        UnsafePlaceError: there is no place for them.
        OSError: the same.
    """
    path = f"{make_parent()}/{_STARTING}"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _short(folder: str) -> Iterator[str]:
    """Yield a path of a folder that fits into a socket's address, which has 108 bytes (unix(7))."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _is_private(path: str) -> bool:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
