"""The bytes of archives and layers, in pieces: some in memory, most in files that the kernel sends itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from cog_nix.errors import ImageError

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from cog_nix.report import Bar

CHUNK = 1 << 23
"""Bytes of a file that are sent at once."""
END = bytes(1024)
"""What a tar ends with."""
BLOCK = 512


@dataclass(frozen=True)
class FileRange:
    """A range of bytes of a file, which the kernel sends (sendfile(2)); it is open until the next piece."""

    file: io.FileIO
    offset: int
    size: int

    def read(self) -> bytes:
        """Return its bytes."""
        data = os.pread(self.file.fileno(), self.size, self.offset)
        return data if len(data) == self.size else self._short()

    def send(self, sink: int) -> None:
        """Send its bytes to a descriptor."""
        done = 0
        while done < self.size:
            sent = os.sendfile(sink, self.file.fileno(), self.offset + done, self.size - done)
            if not sent:
                self._short()
            done += sent

    def _short(self) -> NoReturn:
        message = f"{self.file.name!s} is shorter than it was when it was built."
        raise ImageError(message, hint="Build it again.")


Piece = bytes | FileRange
"""A piece of an archive."""


def size_of(piece: Piece) -> int:
    """Return a piece's bytes."""
    return len(piece) if isinstance(piece, bytes) else piece.size


def part_of(piece: Piece, start: int, size: int) -> bytes:
    """Return some of a piece's bytes."""
    if isinstance(piece, bytes):
        return piece[start : start + size]
    return FileRange(piece.file, piece.offset + start, size).read()


def counted(pieces: Iterable[Piece], bar: Bar) -> Iterator[Piece]:
    """Yield pieces, and tell a bar how much of them has been used."""
    for piece in pieces:
        yield piece
        bar.advance(size_of(piece))


def read(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Yield the bytes of pieces, for who cannot send files."""
    for piece in pieces:
        yield piece if isinstance(piece, bytes) else piece.read()


def write(pieces: Iterable[Piece], sink: BinaryIO) -> int:
    """Write pieces to a file or pipe; return how many bytes that was.

    Raises:
        OSError: it does not take them.
    """
    written = 0
    for piece in pieces:
        if isinstance(piece, bytes):
            sink.write(piece)
        else:
            sink.flush()
            piece.send(sink.fileno())
        written += size_of(piece)
    sink.flush()
    return written


def ranges(file: io.FileIO, offset: int, size: int) -> Iterator[FileRange]:
    """Yield a range of a file in pieces that are sent at once."""
    for start in range(offset, offset + size, CHUNK):
        yield FileRange(file, start, min(CHUNK, offset + size - start))


def cut(pieces: Iterable[Piece], start: int, end: int) -> Iterator[Piece]:
    """Yield what lies between two places of the whole.

    Args:
        pieces: the whole.
        start: its first byte.
        end: the byte after its last.
    """
    at = 0
    for piece in pieces:
        size = size_of(piece)
        first, last = max(start - at, 0), min(end - at, size)
        if first < last:
            if isinstance(piece, bytes):
                yield piece[first:last]
            else:
                yield FileRange(piece.file, piece.offset + first, last - first)
        at += size
        if at >= end:
            return
