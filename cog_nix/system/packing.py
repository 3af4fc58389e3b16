"""How registries and OCI layouts get an image's layers: compressed in one way or another, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Packing = Literal["gzip", "zstd", "zstd:chunked", "none"]
PACKINGS: tuple[Packing, ...] = get_args(Packing)
"""What a layer's media type says (image-spec, layer.md), and ``zstd:chunked``, which is ``zstd`` with a table
of contents behind it (containers/storage, ``pkg/chunked``)."""
USUAL: Packing = "gzip"
"""What everything takes that knows images."""
_CHUNKED = "io.github.containers.zstd-chunked.manifest-checksum"


def packing_in(layers: Iterable[Mapping[str, Any]]) -> Packing:
    """Return how the layers of a manifest are compressed, as far as some are.

    Args:
        layers: their descriptors (image-spec, descriptor.md).
    """
    packings = {_packing(one) for one in layers}
    return next((one for one in ("zstd:chunked", "zstd", "gzip") if one in packings), "none")


def _packing(layer: Mapping[str, Any]) -> Packing:
    kind = str(layer.get("mediaType", ""))
    if kind.endswith("+zstd"):
        return "zstd:chunked" if _CHUNKED in (layer.get("annotations") or {}) else "zstd"
    return "gzip" if kind.endswith("gzip") else "none"
