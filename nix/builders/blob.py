"""Compress a layer for registries, once, in parallel and always to the same bytes.

Spec::

    {"path": store path of a layer}

The output is a folder with ``blob``, the compressed tar, and ``blob.json`` (:class:`Blob`).

The tar is cut into blocks of 8 MB, each of them a gzip member of its own (RFC 1952, section 2.2: a file is a
series of members), so that every core works and the result does not depend on how many there are. libdeflate
does it: unlike ISA-L and zlib-ng it takes the same decisions on every processor.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypedDict

import inputs
import stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

BLOCK = 8 << 20
"""Part of the format: another size makes other bytes."""

_LEVEL = 2
"""3 to 4 % smaller than level 1 for 15 % more time; above, time grows faster than size falls."""

_GZIP = 31
"""zlib's window bits for a gzip member with the largest window."""

STORE = Path("/nix/store")


class Blob(TypedDict):
    """A compressed layer: digest (``sha256:…``) and size of what a registry holds, and of what is inside."""

    digest: str
    size: int
    diff_id: str


def compress_block(block: bytes) -> bytes:
    """Return one gzip member, without name or time."""
    try:
        import deflate  # noqa: PLC0415 - locks from before it was part of the seed lack it
    except ImportError:
        return zlib.compress(block, 1, _GZIP)
    return bytes(deflate.gzip_compress(block, _LEVEL))


def members(source: IO[bytes], threads: int) -> Iterator[bytes]:
    """Yield the gzip members of everything that ``source`` has, in order."""
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[bytes]] = deque()
        while block := source.read(BLOCK):
            running.append(pool.submit(compress_block, block))
            if len(running) > threads + 1:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def write(layer: stream.Layer, path: Path, store: Path | None = None) -> Blob:
    """Compress a layer to a file.

    Args:
        layer: what to compress.
        path: file to write.
        store: where store paths really are; None: :data:`STORE`.
    """
    digest, size = hashlib.sha256(), 0
    with stream.open_layer(layer, store or STORE) as source, path.open("wb") as sink:
        for member in members(source, os.cpu_count() or 1):
            digest.update(member)
            size += sink.write(member)
    return {"digest": f"sha256:{digest.hexdigest()}", "size": size, "diff_id": layer["diff_id"]}


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    out = inputs.output()
    out.mkdir()
    layer: stream.Layer = json.loads((Path(spec["path"]) / "fragment.json").read_text())
    (out / "blob.json").write_text(json.dumps(write(layer, out / "blob"), sort_keys=True))
