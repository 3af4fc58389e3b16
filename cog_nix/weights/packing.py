"""Which files of a weight share a layer, and what becomes of a layer's bytes: upstream's rules.

Small files are bundled and compressed. A large one is a layer of its own, which is compressed unless its name
says that it holds numbers. A digest over these rules, the *envelope*, stands in ``weights.lock``: who reads
another one there than his own makes the layers anew at the next import.

What is not compressed has the same bytes here and there. What is compressed differs, as Go's deflate and
zlib do: a lock with such layers has an envelope of our own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.system.digests import digest_of
from cog_nix.weights.model import TAR, TAR_GZIP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cog_nix.weights.model import File

LARGE = 64 << 20
"""Bytes from which on a file is a layer of its own."""
_BUNDLE = 256 << 20
"""Most bytes of files in one bundle."""
_NUMBERS = (".bin", ".gguf", ".onnx", ".parquet", ".pt", ".pth", ".safetensors")
"""Endings of files that compressing does not make smaller."""
_BEST, _DEFAULT = 9, -1
_RULES = {
    "bundleFileMax": LARGE,
    "bundleSizeMax": _BUNDLE,
    "gzipLevelBundle": _BEST,
    "gzipLevelLarge": _DEFAULT,
    "incompressibleExts": list(_NUMBERS),
    "mediaTypeCompressed": TAR_GZIP,
    "mediaTypeRaw": TAR,
    "revision": 1,
}


def _digest(rules: object) -> str:
    return digest_of(json.dumps(rules, separators=(",", ":")).encode())


PLAIN_ENVELOPE = _digest(_RULES)
"""Upstream's, which holds for our layers where none is compressed."""
ENVELOPE = _digest({**_RULES, "deflate": "zlib"})
"""Ours."""


@dataclass(frozen=True)
class PlannedLayer:
    """Files that go into one layer, in their order there."""

    files: tuple[File, ...]
    media_type: str

    @property
    def level(self) -> int | None:
        """How hard gzip tries (RFC 1952); None: not at all."""
        if self.media_type == TAR:
            return None
        return _BEST if len(self.files) > 1 else _DEFAULT

    @property
    def content_size(self) -> int:
        """Bytes of its files."""
        return sum(file.size for file in self.files)


def plan(files: Iterable[File]) -> tuple[PlannedLayer, ...]:
    """Return the layers of a weight: bundles of small files, then large ones, both by path."""
    ordered = sorted(files, key=lambda file: file.path.encode())
    bundles = (
        PlannedLayer(files, TAR_GZIP) for files in _bundles(one for one in ordered if one.size < LARGE)
    )
    large = (PlannedLayer((one,), _media_type(one)) for one in ordered if one.size >= LARGE)
    return (*bundles, *large)


def _bundles(files: Iterator[File]) -> Iterator[tuple[File, ...]]:
    current: list[File] = []
    size = 0
    for file in files:
        if size and size + file.size > _BUNDLE:
            yield tuple(current)
            current, size = [], 0
        current.append(file)
        size += file.size
    if current:
        yield tuple(current)


def _media_type(file: File) -> str:
    """Go by the last ending of a name; for Go, ``.bin`` has one as well."""
    _, dot, ending = file.path.rpartition("/")[2].rpartition(".")
    return TAR if f"{dot}{ending}".lower() in _NUMBERS else TAR_GZIP
