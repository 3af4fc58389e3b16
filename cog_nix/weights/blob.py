"""The bytes of a layer, made from the store's files as they are read; no tar lies on the disk."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.weights import tar
from cog_nix.weights.model import TAR, LockedLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cog_nix.weights.model import File
    from cog_nix.weights.packing import PlannedLayer
    from cog_nix.weights.store import WeightsStore

PIECE = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
"""Has zlib write gzip's header and trailer (zlib.h, deflateInit2)."""


@dataclass(frozen=True)
class LayerBlob:
    """A layer that can be read as often as need be, as long as the store has its files."""

    layer: PlannedLayer
    store: WeightsStore

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """Yield its bytes from an offset on.

        Raises:
            OSError: the store has lost a file.
        """
        if self.layer.media_type == TAR:
            yield from _plain(self.layer.files, self.store, start)
            return
        assert self.layer.level is not None  # noqa: S101 - for the type checker
        yield from _without_first(start, compressed(_plain(self.layer.files, self.store), self.layer.level))

    def measure(self, advance: Callable[[int], None] = lambda _: None) -> LockedLayer:
        """Read all of it; return what the lock says of it.

        Args:
            advance: is told of bytes of the files.
        """
        found = hashlib.sha256()
        size = 0
        for piece in self.pieces():
            found.update(piece)
            size += len(piece)
            if self.layer.media_type == TAR:
                advance(len(piece))
        digest = f"sha256:{found.hexdigest()}"
        return LockedLayer(digest, self.layer.media_type, size, self.layer.content_size)


class Measured:
    """The digest of a file, and beside it the one of the plain layer that holds nothing else.

    It takes the place of a hash while the file comes, so that nothing is read again.
    """

    def __init__(self, file: File) -> None:
        self._file, self._own, self._layer = file, hashlib.sha256(), hashlib.sha256()
        head = head_of(file)
        self._layer.update(head)
        self._size = len(head)

    def update(self, chunk: bytes) -> None:
        """Add bytes of the file."""
        self._own.update(chunk)
        self._layer.update(chunk)

    def hexdigest(self) -> str:
        """Return the file's own."""
        return self._own.hexdigest()

    def layer(self) -> LockedLayer:
        """Return the layer, once the whole file was added."""
        file, rest = self._file, tar.padding(self._file.size) + tar.END
        whole = self._layer.copy()
        whole.update(rest)
        size = self._size + file.size + len(rest)
        return LockedLayer(f"sha256:{whole.hexdigest()}", TAR, size, file.size)


def head_of(file: File) -> bytes:
    """Return what stands before the contents in a plain layer that holds one file."""
    folders = map(tar.folder_header, tar.folders_of([file.path]))
    return b"".join((*folders, tar.file_header(file.path, file.size)))


def compressed(pieces: Iterable[bytes], level: int) -> Iterator[bytes]:
    """Yield bytes as gzip has them (RFC 1952), without a time or a name."""
    packer = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def _plain(files: Iterable[File], store: WeightsStore, start: int = 0) -> Iterator[bytes]:
    """Yield the tar of some files from an offset on."""
    files = tuple(files)
    heads = [tar.folder_header(folder) for folder in tar.folders_of(file.path for file in files)]
    skip = start
    for file in files:
        head = b"".join((*heads, tar.file_header(file.path, file.size)))
        heads = []
        yield head[skip:]
        skip = max(skip - len(head), 0)
        if skip < file.size:
            yield from _contents(file, store, skip)
        skip = max(skip - file.size, 0)
        rest = tar.padding(file.size)
        yield rest[skip:]
        skip = max(skip - len(rest), 0)
    yield tar.END[skip:]


def _contents(file: File, store: WeightsStore, start: int) -> Iterator[bytes]:
    left = file.size - start
    with store.path(file.digest).open("rb", buffering=0) as stream:
        stream.seek(start)
        while left and (piece := stream.read(min(PIECE, left))):
            yield piece
            left -= len(piece)
    if left:
        raise OSError(f"{store.path(file.digest)} is {left} bytes shorter than it was")


def _without_first(count: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if count < len(piece):
            yield piece[count:]
        count = max(count - len(piece), 0)
