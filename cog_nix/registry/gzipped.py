"""Layers of a project's files as registries get them: compressed where that pays, and never written down.

A blob is a series of gzip members (RFC 1952, section 2.2) of 8 MB of tar each, as the blobs that Nix makes
(``nix/builders/blob.py``). Its digest has to be known before it is sent, so it is made twice: once to hash
it, and once on its way. The sizes of the members are remembered, so that an upload goes on in the middle.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import deflate

from cog_nix.image.pieces import cut, read
from cog_nix.image.project_files import BY_DIGEST, FOLDER
from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from cog_nix.image.layer_bytes import LayerBytes
    from cog_nix.image.pieces import Piece
    from cog_nix.report import Reporter

BLOCK = 8 << 20
_LEVEL = 2
_PAYS = 0.8
"""What is compressed to less than so much of its size; weights of 16 bits are not, and would take long."""
_SAMPLES, _SAMPLE = 32, 64 << 10
_MEMORY = "gzip.json"


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


class GzippedLayer:
    """The bytes of a compressed layer, from any place on; made anew whenever they are read.

    Args:
        layer: the tar.
        compressed: what becomes of it.
    """

    def __init__(self, layer: LayerBytes, compressed: Compressed) -> None:
        self._layer = layer
        self._ends = list(accumulate(compressed.members))

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """Yield the blob from a byte on; members before it are not made.

        Raises:
            OSError: the store cannot be read.
            ImageError: a file of the project's is not what it was.
        """
        first = sum(end <= start for end in self._ends)
        before = self._ends[first - 1] if first else 0
        return read(cut(_members(self._layer.pieces(first * BLOCK)), start - before, sys.maxsize))


def pays(layer: LayerBytes) -> bool:
    """Try some of a layer: the same places each time."""
    size = layer.layer.size
    step = max(size // _SAMPLES, _SAMPLE)
    sample = b"".join(
        b"".join(read(cut(layer.pieces(start), 0, _SAMPLE))) for start in range(0, size - 1024, step)
    )
    return len(_gzip(sample)) < _PAYS * len(sample)


def compress(layer: LayerBytes, reporter: Reporter, cache: Path | None = None) -> Compressed:
    """Find out what a layer is when it is compressed.

    Args:
        layer: which.
        reporter: shows the bytes that are read.
        cache: folder of the user's caches, where that is remembered; None: the usual one.

    Raises:
        ImageError: a file of the project's is not what it was.
    """
    folder = (cache or cache_dir()) / FOLDER / BY_DIGEST / layer.layer.diff_id.removeprefix("sha256:")
    memory, version = folder / _MEMORY, str(deflate.__version__)
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = jsonvalue.loads(memory.read_bytes())
        if known["version"] == version:
            return Compressed(str(known["digest"]), tuple(map(int, jsonvalue.list_of(known["members"]))))
    digest, sizes = hashlib.sha256(), []
    with reporter.bytes_bar(f"Compressing {layer.layer.name}", layer.layer.size) as bar:
        for member in _members(layer.pieces()):
            digest.update(member)
            sizes.append(len(member))
            bar.advance(min(BLOCK, layer.layer.size - (len(sizes) - 1) * BLOCK))
    found = Compressed(f"sha256:{digest.hexdigest()}", tuple(sizes))
    if folder.is_dir():
        write_atomically(memory, json.dumps({"version": version, **found._asdict()}).encode())
    return found


def _gzip(block: bytes) -> bytes:
    return bytes(deflate.gzip_compress(block, _LEVEL))


def _members(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Yield gzip members, made by all processors, in order."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[bytes]] = deque()
        for block in _blocks(pieces):
            running.append(pool.submit(_gzip, block))
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
