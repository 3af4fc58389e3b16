"""Compress a layer for registries, once, in parallel and always to the same bytes.

Spec::

    {"path": store path of a layer, "compression": "gzip" | "zstd" | "zstd:chunked" | "none"}

The output is a folder with ``blob``, the compressed tar, and ``blob.json`` (:class:`Blob`).

The tar is cut into blocks of 8 MB, each of them a gzip member or a Zstandard frame of its own (RFC 1952,
section 2.2, and RFC 8878, section 3: a file is a series of them), so that every core works and the result
does not depend on how many there are. libdeflate does it: unlike ISA-L and zlib-ng it takes the same
decisions on every processor. Zstandard's own library does so as well, and is the seed's, of one version.
Where the frames of ``zstd:chunked`` end, :mod:`chunked` says.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import deque
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypedDict

import inputs
import stream
from failure import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

BLOCK = 8 << 20
"""Part of the format: another size makes other bytes."""

_LEVEL = 2
"""3 to 4 % smaller than level 1 for 15 % more time; above, time grows faster than size falls."""

_GZIP = 31
"""zlib's window bits for a gzip member with the largest window."""

_ZSTD_LEVEL = 3
"""docs/design/compression.md has what other levels cost and save."""

SUFFIXES = {"gzip": "+gzip", "zstd": "+zstd", "zstd:chunked": "+zstd", "none": ""}
"""What the media type of a layer ends with (image-spec, layer.md, "Layer Media Types")."""

STORE = Path("/nix/store")


class Blob(TypedDict):
    """A compressed layer: digest (``sha256:…``) and size of what a registry holds, and of what is inside."""

    digest: str
    size: int
    diff_id: str
    compression: str
    annotations: dict[str, str]
    """What a manifest says of it besides (image-spec, annotations.md)."""


def compress_block(block: bytes) -> bytes:
    """Return one gzip member, without name or time."""
    try:
        import deflate  # noqa: PLC0415 - locks from before it was part of the seed lack it
    except ImportError:
        return zlib.compress(block, 1, _GZIP)
    return bytes(deflate.gzip_compress(block, _LEVEL))


def zstd_frame(block: bytes) -> bytes:
    """Return one frame of Zstandard that says how long its content is.

    Ends the build where the lock's seed is from before the library was part of it.
    """
    try:
        from backports import zstd  # noqa: PLC0415 - as above
    except ImportError:
        raise BuildError("the builders' Python of this lock has no Zstandard") from None
    return bytes(zstd.compress(block, _ZSTD_LEVEL))


def in_parallel(
    blocks: Iterable[bytes], compress: Callable[[bytes], bytes], threads: int | None = None
) -> Iterator[bytes]:
    """Yield each block compressed, in order.

    Args:
        blocks: read when they are due, so that few of them are in memory.
        compress: called in threads; has to let others run.
        threads: how many; None: one a processor.
    """
    coming = iter(blocks)
    first = list(islice(coming, 2))
    if len(first) <= 1:  # an edit waits for this
        yield from map(compress, first)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - as above

    threads = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[bytes]] = deque()
        for block in chain(first, coming):
            running.append(pool.submit(compress, block))
            if len(running) > threads + 1:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def blocks(source: IO[bytes]) -> Iterator[bytes]:
    """Yield everything that ``source`` has, cut."""
    while block := source.read(BLOCK):
        yield block


def members(source: IO[bytes], threads: int) -> Iterator[bytes]:
    """Yield the gzip members of everything that ``source`` has, in order."""
    return in_parallel(blocks(source), compress_block, threads)


def write(layer: stream.Layer, path: Path, store: Path | None = None, compression: str = "gzip") -> Blob:
    """Compress a layer to a file.

    Args:
        layer: what to compress.
        path: file to write.
        store: where store paths really are; None: :data:`STORE`.
        compression: one of :data:`SUFFIXES`.
    """
    digest, size = hashlib.sha256(), 0
    annotations: dict[str, str] = {}
    with stream.open_layer(layer, store or STORE) as source, path.open("wb") as sink:
        for piece in _pieces(source, compression, annotations):
            digest.update(piece)
            size += sink.write(piece)
    return {
        "digest": f"sha256:{digest.hexdigest()}",
        "size": size,
        "diff_id": layer["diff_id"],
        "compression": compression,
        "annotations": annotations,
    }


def _pieces(source: IO[bytes], compression: str, annotations: dict[str, str]) -> Iterator[bytes]:
    if compression == "zstd:chunked":
        import chunked  # noqa: PLC0415 - few ask for it

        return chunked.write(source, zstd_frame, in_parallel, annotations)
    if compression == "none":
        return blocks(source)
    return in_parallel(blocks(source), zstd_frame if compression == "zstd" else compress_block)


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    out = inputs.output()
    out.mkdir()
    layer: stream.Layer = json.loads((Path(spec["path"]) / "fragment.json").read_text())
    found = write(layer, out / "blob", compression=spec["compression"])
    (out / "blob.json").write_text(json.dumps(found, sort_keys=True))
