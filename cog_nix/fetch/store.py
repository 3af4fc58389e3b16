"""The folder of downloads: files named by their sha256, each complete and checked.

::

    downloads/sha256/ab/abcdef…        a whole file; whoever finds it may trust it
    downloads/sha256/ab/abcdef….part   what has come so far; locked (flock) by the process that writes it

A file appears under its name by a rename after its hash was checked and its bytes were synced. The lock lies
on the part itself, so nothing is left to clean up, and a process that was waiting sees by the inode that the
part it locked has meanwhile become the whole file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import FetchError
from cog_nix.system import scratch

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator
    from io import BufferedRandom
    from pathlib import Path
    from typing import BinaryIO

    from cog_nix.lock.model import Artifact

_SHA256 = re.compile(r"[0-9a-f]{64}")
_POLL = 0.1


@dataclass(frozen=True)
class Store:
    """Whole files by sha256.

    Args:
        root: ``…/downloads/sha256``.
    """

    root: Path

    def path(self, sha256: str) -> Path:
        """Return where a file of this hash lies, or would lie.

        Raises:
            FetchError: this is no sha256.
        """
        if not _SHA256.fullmatch(sha256):
            raise FetchError(f"{sha256!r} is not a sha256 in lower-case hexadecimal", hint="Lock again.")
        return self.root / sha256[:2] / sha256

    def held(self, artifact: Artifact) -> Path | None:
        """Return the path of a file that is there with the right size, or None."""
        path = self.path(artifact.sha256)
        try:
            size = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        return path if artifact.size in {size, 0} else None

    @contextmanager
    def claim(self, artifact: Artifact, cancelled: threading.Event) -> Iterator[BinaryIO | None]:
        """Yield the part, locked and open for reading and writing; None when the file has come meanwhile.

        Yields None as well when ``cancelled`` was set while another process held the part.
        """
        final = self.path(artifact.sha256)
        final.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with _open_part(part_of(final)) as part:
                if not _locked(part, cancelled):
                    yield None
                    return
                # The part we opened may have been renamed or removed while we waited for its lock.
                if _is(part, part_of(final)):
                    if self.held(artifact):
                        part_of(final).unlink()
                        yield None
                    else:
                        yield part
                    return
            if self.held(artifact):
                yield None
                return

    def enter(self, part: BinaryIO, artifact: Artifact) -> Path:
        """Give a part whose hash was checked its name, for good."""
        final = self.path(artifact.sha256)
        part.flush()
        os.fsync(part.fileno())
        part_of(final).replace(final)
        sync_folder(final.parent)
        return final

    @contextmanager
    def new(self) -> Iterator[BufferedRandom]:
        """Yield a file for :meth:`adopt`, which is removed afterwards.

        Raises:
            OSError: it cannot be made.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with scratch.beside(self.root / "file") as new, new.open("x+b") as stream:
            yield stream

    def adopt(self, new: BufferedRandom) -> tuple[str, int]:
        """Give a file that was written beside the others its name; return its sha256 and size.

        The file keeps its old name as well, for whoever made it to remove.
        """
        new.flush()
        os.fsync(new.fileno())
        new.seek(0)
        sha256 = hashlib.file_digest(new, "sha256").hexdigest()
        size = new.tell()
        final = self.path(sha256)
        final.parent.mkdir(exist_ok=True)
        with scratch.beside(final) as linked:
            os.link(new.name, linked)
            linked.chmod(0o644)
            linked.replace(final)
        sync_folder(final.parent)
        return sha256, size

    def put(self, sha256: str, pieces: Iterable[bytes]) -> bool:
        """Enter a file whose bytes come from elsewhere; return whether they are those of this hash.

        Nothing is there otherwise. A file of that name is replaced.

        Raises:
            OSError: it cannot be written.
        """
        final, digest = self.path(sha256), hashlib.sha256()
        final.parent.mkdir(parents=True, exist_ok=True)
        with scratch.beside(final) as new:
            with new.open("xb", buffering=0) as stream:
                for piece in pieces:
                    digest.update(piece)
                    view = memoryview(piece)
                    while view:  # a raw file may take less than it was given
                        view = view[stream.write(view) :]
                os.fsync(stream.fileno())
            if digest.hexdigest() != sha256:
                return False
            new.chmod(0o644)
            new.replace(final)
        sync_folder(final.parent)
        return True

    def discard(self, artifact: Artifact) -> None:
        """Remove the part of an artifact; the caller holds its lock."""
        part_of(self.path(artifact.sha256)).unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Return where the part of a file lies."""
    return path.with_name(f"{path.name}.part")


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_part(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    return os.fdopen(descriptor, "r+b", buffering=0)


def _locked(part: BinaryIO, cancelled: threading.Event) -> bool:
    while True:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if cancelled.is_set():
                return False
            time.sleep(_POLL)
        else:
            return True


def _is(part: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(part.fileno()), path.stat())
    except FileNotFoundError:
        return False
