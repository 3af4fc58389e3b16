"""Layers of a project's files as registries get them: compressed where that pays, and never written down.

A blob is a series of gzip members (RFC 1952, section 2.2) or frames of Zstandard (RFC 8878, section 3), each
of 8 MB of tar, as Nix makes them (``nix/builders/blob.py``). Its digest has to be known before it is sent, so
it is made twice: once to hash it, and once on its way. The sizes of the members are remembered, so that an
upload goes on in the middle.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from cog_nix.image.pieces import cut, read
from cog_nix.image.project_files import BY_DIGEST, FOLDER
from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from cog_nix.image.layer_bytes import LayerBytes
    from cog_nix.image.pieces import Piece
    from cog_nix.report import Reporter
    from cog_nix.system.packing import Packing

BLOCK = 8 << 20
_GZIP_LEVEL = 2
"""That of ``nix/builders/blob.py``."""
_ZSTD_LEVEL = 1
"""Twice as fast as that one's, at the same size within a few percent; it is done twice (large-files.md)."""
_PAYS = 0.8
"""What is compressed to less than so much of its size; weights of 16 bits are not, and would take long."""
_SAMPLES, _SAMPLE = 32, 64 << 10


@dataclass(frozen=True)
class Codec:
    """A way of compressing blocks."""

    suffix: str
    """Of the layer's media type (image-spec, layer.md)."""
    version: str
    """Of its library, and the level; another one may make other bytes."""
    compress: Callable[[bytes], bytes]


def codec_of(packing: Packing) -> Codec | None:
    """Return how layers are compressed; None: they are not.

    Layers of large files have no table of contents: ``zstd:chunked`` is ``zstd``.
    """
    if packing == "none":
        return None
    if packing == "gzip":
        import deflate  # noqa: PLC0415 - few projects have such layers

        return Codec(
            "+gzip",
            f"{deflate.__version__} at {_GZIP_LEVEL}",
            lambda block: bytes(deflate.gzip_compress(block, _GZIP_LEVEL)),
        )
    from cog_nix.system.zstandard import zstd  # noqa: PLC0415 - as above

    return Codec(
        "+zstd",
        f"{zstd.zstd_version} at {_ZSTD_LEVEL}",
        lambda block: bytes(zstd.compress(block, _ZSTD_LEVEL)),
    )


class Compressed(NamedTuple):
    """A layer, compressed."""

    digest: str
    """``sha256:…`` of the whole."""
    members: tuple[int, ...]
    """Bytes of each."""

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return sum(self.members)


class PackedLayer:
    """The bytes of a compressed layer, from any place on; made anew whenever they are read.

    Args:
        layer: the tar.
        compressed: what becomes of it.
        codec: how.
    """

    def __init__(self, layer: LayerBytes, compressed: Compressed, codec: Codec) -> None:
        self._layer, self._codec = layer, codec
        self._ends = list(accumulate(compressed.members))

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """Yield the blob from a byte on; members before it are not made.

        Raises:
            OSError: the store cannot be read.
            ImageError: a file of the project's is not what it was.
        """
        first = sum(end <= start for end in self._ends)
        before = self._ends[first - 1] if first else 0
        return read(
            cut(_members(self._layer.pieces(first * BLOCK), self._codec), start - before, sys.maxsize)
        )


def pays(layer: LayerBytes, codec: Codec) -> bool:
    """Try some of a layer: the same places each time."""
    size = layer.layer.size
    step = max(size // _SAMPLES, _SAMPLE)
    sample = b"".join(
        b"".join(read(cut(layer.pieces(start), 0, _SAMPLE))) for start in range(0, size - 1024, step)
    )
    return len(codec.compress(sample)) < _PAYS * len(sample)


def compress(layer: LayerBytes, codec: Codec, reporter: Reporter, cache: Path | None = None) -> Compressed:
    """Find out what a layer is when it is compressed.

    Args:
        layer: which.
        codec: how.
        reporter: shows the bytes that are read.
        cache: folder of the user's caches, where that is remembered; None: the usual one.

    Raises:
        ImageError: a file of the project's is not what it was.
    """
    folder = (cache or cache_dir()) / FOLDER / BY_DIGEST / layer.layer.diff_id.removeprefix("sha256:")
    memory, version = folder / f"{codec.suffix[1:]}.json", codec.version
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = jsonvalue.loads(memory.read_bytes())
        if known["version"] == version:
            return Compressed(str(known["digest"]), tuple(map(int, jsonvalue.list_of(known["members"]))))
    digest, sizes = hashlib.sha256(), []
    with reporter.bytes_bar(f"Compressing {layer.layer.name}", layer.layer.size) as bar:
        for member in _members(layer.pieces(), codec):
            digest.update(member)
            sizes.append(len(member))
            bar.advance(min(BLOCK, layer.layer.size - (len(sizes) - 1) * BLOCK))
    found = Compressed(f"sha256:{digest.hexdigest()}", tuple(sizes))
    if folder.is_dir():
        write_atomically(memory, json.dumps({"version": version, **found._asdict()}).encode())
    return found


def _members(pieces: Iterable[Piece], codec: Codec) -> Iterator[bytes]:
    """Yield members or frames, made by all processors, in order."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[bytes]] = deque()
        for block in _blocks(pieces):
            running.append(pool.submit(codec.compress, block))
            if len(running) > threads + 1:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _blocks(pieces: Iterable[Piece]) -> Iterator[bytes]:
    waiting = bytearray()
    for data in read(pieces):
        waiting += data
        while len(waiting) >= BLOCK:
            yield bytes(waiting[:BLOCK])
            del waiting[:BLOCK]
    if waiting:
        yield bytes(waiting)
