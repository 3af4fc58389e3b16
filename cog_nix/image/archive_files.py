"""The files of an image archive that somebody else may have written, in a folder or a tar.

Nothing is taken from outside of it, only plain files are read, and memory does not grow with what it holds
or claims to hold: a tar's headers have a limit together, files that are read at once have one each, and
all others are read in pieces.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol, Self

from cog_nix.errors import ImageError
from cog_nix.image.description import store_of

if TYPE_CHECKING:
    from collections.abc import Callable

UNREADABLE = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, OverflowError, RecursionError),
    *(tarfile.TarError, zlib.error, lzma.LZMAError),
)
"""What reading an archive may raise that is none."""

_TEXT = 4 << 20
"""Bytes of a file that is read at once: distribution-spec asks registries for manifests of as much."""
_HEADERS = 8 << 20
"""Bytes of all headers of a tar: those of an image with 127 layers have 0.2 MB."""
_XZ_MEMORY = 80 << 20
"""``xz -9`` needs 65 MiB to decompress (its manual page)."""
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 16


class Files(Protocol):
    """The files of an archive, by name."""

    def open(self, name: str) -> tuple[IO[bytes], int]:
        """Open a file; return it with its size. KeyError when there is none, ImageError when it is none."""


def read(files: Files, name: str) -> bytes:
    """Return a file.

    Raises:
        KeyError: there is none.
        ImageError: it is larger than what describes an image is.
    """
    stream, size = files.open(name)
    with stream:
        if size > _TEXT:
            raise ImageError(f"{name} has {size} bytes, and what describes an image has {_TEXT} at most.")
        return stream.read(size)


class Folder:
    """The files of a folder; links lead nowhere else, but between paths of a Nix store."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._within = store_of(self._root) or self._root

    def open(self, name: str) -> tuple[IO[bytes], int]:
        """Open a file, as :meth:`Files.open`."""
        path = Path(os.path.realpath(self._root / _clean(name)))
        if not path.is_relative_to(self._within):
            raise ImageError(f"{name} leads elsewhere.")
        try:
            # A FIFO would make us wait.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise KeyError(name) from error
        stream = os.fdopen(descriptor, "rb")
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            stream.close()
            raise ImageError(f"{name} is not a file.")
        return stream, status.st_size


class Tar:
    """The files of a tar, compressed or not; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._data = _decompressed(self._file)
            self._members, self._twice = _listed(self._data)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()
        self._file.close()

    def open(self, name: str) -> tuple[IO[bytes], int]:
        """Open a file, as :meth:`Files.open`."""
        name = _clean(name)
        member = self._member(name)
        if member.issym():  # older Docker links a layer that stands in an archive twice
            member = self._member(_clean(os.path.normpath(PurePosixPath(name).parent / member.linkname)))
        elif member.islnk():
            member = self._member(_clean(member.linkname))
        if not member.isreg() or member.issparse() or member.size < 0:
            raise ImageError(f"{name} is not a regular file.")
        return io.BufferedReader(_Section(self._data, name, member.offset_data, member.size)), member.size

    def _member(self, name: str) -> tarfile.TarInfo:
        if name in self._twice:
            raise ImageError(f"{name} is in it more than once.")
        return self._members[name]


def _listed(data: IO[bytes]) -> tuple[dict[str, tarfile.TarInfo], set[str]]:
    """Return the members of a tar by name, and the names that several have."""
    found: dict[str, tarfile.TarInfo] = {}
    twice: set[str] = set()
    with tarfile.open(fileobj=_Headers(data), mode="r:") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name in found:
                twice.add(name)
            found[name] = member
    return found, twice


class _Headers(io.RawIOBase):
    """A tar whose headers are read: tarfile(5) has them declare their own size, and takes it for granted."""

    def __init__(self, data: IO[bytes]) -> None:
        self._data, self._left = data, _HEADERS

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._data.seek(offset, whence)

    def tell(self) -> int:
        return self._data.tell()

    def read(self, size: int = -1) -> bytes:
        self._left -= size
        if size < 0 or self._left < 0:
            raise ImageError(f"its headers have more than {_HEADERS} bytes.")
        return self._data.read(size)


class _Section(io.RawIOBase):
    """A range of a file, which others read as well."""

    def __init__(self, data: IO[bytes], name: str, start: int, size: int) -> None:
        self._data, self._named, self._at, self._end = data, name, start, start + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._end - self._at)
        if not wanted:
            return 0
        if self._data.tell() != self._at:
            self._data.seek(self._at)
        data = self._data.read(min(wanted, _PIECE))
        if not data:
            raise ImageError(f"it ends in the middle of {self._named}.")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    start = file.read(6)
    file.seek(0)
    if start.startswith(_ZSTANDARD):
        raise ImageError("it is compressed with Zstandard: zstd -dc FILE | cog-nix load -")
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start == b"\xfd7zXZ\0":
        return io.BufferedReader(_Xz(file), _PIECE)
    return file


class _Xz(io.RawIOBase):
    """What :class:`lzma.LZMAFile` is, in limited memory: a file says itself how much it needs."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._restart()

    def _restart(self) -> None:
        self._file.seek(0)
        self._position = 0
        self._new: Callable[[], lzma.LZMADecompressor] = lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
        self._stream = self._new()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        offset += self._position if whence == io.SEEK_CUR else 0
        if offset < self._position:
            self._restart()
        while self._position < offset and (data := self._some(min(offset - self._position, _PIECE))):
            self._position += len(data)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._some(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _some(self, most: int) -> bytes:
        while True:
            if self._stream.eof:
                rest = self._stream.unused_data or self._file.read(_PIECE)
                if not rest.strip(b"\0"):  # padding (the .xz file format, section 2.2)
                    return b""
                self._stream = self._new()
            else:
                rest = self._file.read(_PIECE) if self._stream.needs_input else b""
                if self._stream.needs_input and not rest:
                    raise EOFError("it ends in the middle of a compressed block")
            if data := self._stream.decompress(rest, most):
                return data


_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest(value: object) -> str:
    """Return a digest as it is written in manifests.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError(f"{str(value)[:80]!r} is not a digest")
    return value


def _clean(name: str) -> str:
    """Return a name as the members of an archive have it.

    Raises:
        ImageError: it leads out of the archive.
    """
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name or parts[0] == "/" or ".." in parts:
        raise ImageError(f"it names {name[:80]!r}, which is not in it.")
    return "/".join(parts)
