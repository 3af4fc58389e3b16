"""What ``weights.lock`` records, as frozen values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.system.digests import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable

TAR = "application/vnd.oci.image.layer.v1.tar"
TAR_GZIP = f"{TAR}+gzip"
DIGEST = re.compile("sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class File:
    """A file of a weight."""

    path: str
    """Relative to the weight's folder, with slashes."""
    size: int
    digest: str
    """``sha256:…`` of its contents."""


@dataclass(frozen=True)
class LockedFile(File):
    """A file, and where the registry has it."""

    layer: str
    """Digest of the layer that holds it."""


@dataclass(frozen=True)
class LockedLayer:
    """A blob in the registry."""

    digest: str
    media_type: str
    size: int
    """Bytes of the blob."""
    content_size: int
    """Bytes of the files in it."""


@dataclass(frozen=True)
class LockedSource:
    """Where files were imported from."""

    uri: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    fingerprint: str = ""
    """Its version then: ``commit:…``, ``etag:…`` or ``sha256:…``."""


@dataclass(frozen=True)
class LockedWeight:
    """One weight as it was imported."""

    name: str
    target: str
    """Absolute path of its folder in the container."""
    set_digest: str
    """Digest over the paths and contents of its files."""
    sources: tuple[LockedSource, ...]
    digest: str = ""
    """Digest of its manifest in the registry; "" in locks that do not say."""
    size: int = 0
    """Bytes of its files, uncompressed."""
    files: tuple[LockedFile, ...] = ()
    """By path."""
    layers: tuple[LockedLayer, ...] = ()
    """By digest."""
    imported: str = ""
    """RFC 3339; says something to people only."""

    @property
    def blob_size(self) -> int:
        """Bytes of its layers as the registry has them."""
        return sum(layer.size for layer in self.layers)

    def files_in(self, layer: str) -> tuple[LockedFile, ...]:
        """Return the files of a layer, by path, as they follow each other in it."""
        return tuple(file for file in self.files if file.layer == layer)


@dataclass(frozen=True)
class WeightsLock:
    """All of ``weights.lock``."""

    weights: tuple[LockedWeight, ...] = ()
    envelope: str = ""
    """Digest that stands for how layers were packed (:mod:`cog_nix.weights.packing`)."""

    def find(self, name: str) -> LockedWeight | None:
        """Return the weight of a name."""
        return next((weight for weight in self.weights if weight.name == name), None)


def set_digest(files: Iterable[File]) -> str:
    """Return the digest over a set of files: of lines as sha256sum(1) writes them, sorted as a whole."""
    lines = sorted(f"{file.digest.partition(':')[2]}  {file.path}".encode() for file in files)
    joined = b"\n".join(lines)
    return digest_of(joined)
