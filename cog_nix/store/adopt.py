"""Puts files and folders of the cache into a store without copying them, and with one reading.

``nix-store --add-fixed`` hashes a file four times and copies it. What is in the download cache lies on the
store's file system as a rule, so its file becomes the store's as well (a hard link), and Nix is told what the
hash of its archive is. That was computed in the pass that checked the file.

A store path that was linked and not yet told of is no valid one: whoever finds it puts it there anew.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import NixError
from cog_nix.store.paths import hexadecimal, nar_frame, nar_hash_and_size
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

_CHUNK = 1 << 18
_MODE, _FOLDER_MODE, _EXECUTABLE = 0o444, 0o555, 0o111
_MTIME = 1
"""What Nix gives every file of a store (Nix manual, "File System Object")."""


class ChangedDownloadError(NixError):
    """A file in the download cache has changed since it came."""

    def __init__(self, name: str) -> None:
        super().__init__(
            hint="Remove the download cache (COG_NIX_CACHE_DIR, or ~/.cache/cog-nix) and run this again."
        )
        self.name = name

    def __str__(self) -> str:
        return f"A file in the download cache is not what the lock says: {self.name}."


@dataclass(frozen=True)
class Download:
    """A file of the cache and what it becomes."""

    path: Path
    sha256: str
    """Hexadecimal."""
    store_path: str


@dataclass(frozen=True)
class Place:
    """A store that this process may write to.

    Args:
        store: the folder of its store paths.
        state: Nix's own folder beside it (``…/nix/var/nix``).
    """

    store: Path
    state: Path

    def add(self, downloads: Sequence[Download]) -> str:
        """Put files where their store paths say; return what ``nix-store --load-db`` is to read.

        The garbage collector must be kept away until Nix was told (:meth:`kept`).

        Raises:
            NixError: a file is not what it should be; nothing was put anywhere.
            OSError: the store cannot be written this way.
        """
        self.store.mkdir(parents=True, exist_ok=True)
        with scratch.folder("add", self.store) as folder:
            staged = [Path(folder, Path(one.store_path).name) for one in downloads]
            with ThreadPoolExecutor(os.cpu_count() or 1) as crew:
                # The largest first: one that starts last would run on alone.
                order = sorted(range(len(downloads)), key=lambda at: -downloads[at].path.stat().st_size)
                told = list(crew.map(lambda at: _stage(downloads[at], staged[at]), order))
            for path in staged:
                path.replace(self.store / path.name)
        return "".join(told)

    def add_tree(self, tree: Path, store_path: str, sri: str) -> str | None:
        """Put a folder where its store path says, its files by links; return what to read as for :meth:`add`.

        Returns:
            None when its hash is another.

        Raises:
            OSError: the store cannot be written this way, or has something there that Nix was not told of.
        """
        self.store.mkdir(parents=True, exist_ok=True)
        place = self.store / Path(store_path).name
        with scratch.folder("add", self.store) as folder:
            staged = folder / place.name
            shutil.copytree(tree, staged, symlinks=True, copy_function=_link)
            found, size = nar_hash_and_size(staged)
            if found != sri:
                return None
            staged.rename(place)
        for path in (place, *place.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(_FOLDER_MODE)
            os.utime(path, (_MTIME, _MTIME), follow_symlinks=False)
        return _told(store_path, hexadecimal(sri), size)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the garbage collector out: it takes this lock for itself.

        Nothing is where a store is still to be made; Nix makes the rest of it.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.state / "gc.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield
        finally:
            os.close(lock)


def _stage(download: Download, place: Path) -> str:
    """Link or copy a file to a place of its own; return its line for Nix's database."""
    before, after = nar_frame(download.path.stat().st_size)
    flat, archive = hashlib.sha256(), hashlib.sha256(before)
    size = len(before) + len(after)
    with download.path.open("rb", buffering=0) as source:
        with _target(source, download.path, place) as copy:
            buffer = memoryview(bytearray(_CHUNK))
            while count := source.readinto(buffer):
                flat.update(buffer[:count])
                archive.update(buffer[:count])
                if copy:
                    copy.write(buffer[:count])
                size += count
        if flat.hexdigest() != download.sha256:
            raise ChangedDownloadError(Path(download.store_path).name)
    place.chmod(_MODE)
    os.utime(place, (_MTIME, _MTIME))
    archive.update(after)
    return _told(download.store_path, archive.hexdigest(), size)


def _told(store_path: str, digest: str, size: int) -> str:
    """Return a path as ``nix-store --dump-db`` has it: hash, size, no deriver, no references."""
    return f"{store_path}\n{digest}\n{size}\n\n0\n"


def _link(source: str, place: str) -> None:
    """Make a file of a folder that of another one as well, with the permissions that it has in a store."""
    info = os.lstat(source)
    if info.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source)  # his to change
    os.link(source, place, follow_symlinks=False)
    os.chmod(place, _MODE | info.st_mode & _EXECUTABLE)  # noqa: PTH101 - a thousand of them


@contextmanager
def _target(source: BinaryIO, path: Path, place: Path) -> Iterator[BinaryIO | None]:
    """Link a file; or yield one to copy it to where that cannot be done."""
    info = os.fstat(source.fileno())
    # Another user's file is his to change.
    if stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid():
        try:
            os.link(path, place, follow_symlinks=False)
        except OSError:
            pass  # another file system, or as many links as it takes
        else:
            yield None
            return
    with place.open("xb") as copy:
        yield copy
        copy.flush()
        os.fsync(copy.fileno())
