"""Layers as registries and archives have them: a tar, compressed with gzip or Zstandard, or as it is.

Which it is, the first bytes tell (image-spec, layer.md, "Layer Media Types"; RFC 1952; RFC 8878).
"""

from __future__ import annotations

import gzip
import io
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from cog_nix.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20


class BrokenLayerError(ImageError):
    """A layer cannot be decompressed, or is no tar.

    Args:
        reason: what was found.
        hint: what to do next.
    """

    def __init__(self, reason: str, *, hint: str = "Pull or build the image again.") -> None:
        super().__init__(hint=hint)
        self.reason = reason

    def __str__(self) -> str:
        return f"A layer cannot be read: {self.reason}"


@contextmanager
def decompressed(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield what is in a stream, decompressed; the stream need not seek.

    Raises:
        BrokenLayerError: it is broken.
    """
    whole = io.BufferedReader(cast("io.RawIOBase", stream), _CHUNK)
    try:
        start = whole.peek(len(_ZSTD))
        if start.startswith(_ZSTD):
            from cog_nix.system.zstandard import zstd  # noqa: PLC0415 - as below

            try:
                yield cast("IO[bytes]", zstd.ZstdFile(whole))
            except (EOFError, zstd.ZstdError) as error:
                raise BrokenLayerError(str(error)) from error
        elif start.startswith(_GZIP):
            from isal import igzip, igzip_lib  # noqa: PLC0415 - images that Nix built are not compressed

            try:
                yield cast("IO[bytes]", igzip.IGzipFile(fileobj=whole))  # type: ignore[no-untyped-call]
            except (EOFError, gzip.BadGzipFile, igzip_lib.IsalError) as error:  # type: ignore[misc] # its stub
                raise BrokenLayerError(str(error)) from error
        else:
            yield whole
    finally:
        whole.detach()  # the stream is whose it was
