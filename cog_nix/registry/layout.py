"""Reads an OCI image layout (image-spec, image-layout.md), as Nix builds them for pushing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.errors import ImageError
from cog_nix.image.description import UnreadableImageError, blob_file
from cog_nix.image.known import Known
from cog_nix.image.layer_bytes import outside_of
from cog_nix.registry import packed
from cog_nix.registry.upload import Blob
from cog_nix.report import SilentReporter
from cog_nix.system import jsonvalue
from cog_nix.system.digests import digest_of
from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of
from cog_nix.system.packing import USUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.image.layer_bytes import LayerBytes
    from cog_nix.report import Reporter
    from cog_nix.system.packing import Packing
    from cog_nix.system.platforms import Platform

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_DOCKER_PLAIN_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
"""What containerd, Podman and Docker know a layer by that is not compressed."""


@dataclass(frozen=True)
class Manifest:
    """What a registry is sent last."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """``sha256:…`` of its bytes."""
        return digest_of(self.data)


@dataclass(frozen=True)
class Layout:
    """An image that is there as blobs."""

    manifest: Manifest
    """Docker's image manifest, version 2, schema 2: what ``docker push`` makes, and every registry takes. Of
    layers in Zstandard, which it has no media type for, OCI's."""
    blobs: tuple[Blob, ...]
    """Layers from bottom to top, each once, and the configuration."""


def read(
    root: Path,
    reporter: Reporter | None = None,
    packing: Packing = USUAL,
    outside: Sequence[LayerBytes] | None = None,
    ready: Callable[[Blob], object] = lambda _: None,
) -> Layout:
    """Read the image of a layout.

    Args:
        root: the folder.
        reporter: shows the bytes of what has to be compressed first; None: nobody looks.
        packing: how layers are compressed whose files are not in the store, where that pays.
        outside: these layers; None: those that Nix's layout names and does not have.
        ready: called with the blob of each of these when it is known, before the next one is compressed.

    Raises:
        ImageError: it is no layout of one image.
    """
    try:
        (pointer,) = pointers(root)
        manifest = jsonvalue.loads(_path(root, pointer).read_bytes())
        found = {}
        for layer in outside_of(root) if outside is None else outside:
            descriptor, blob = _outside(layer, packing, reporter or SilentReporter())
            found[blob.digest] = blob
            ready(blob)
            manifest["layers"] = [
                descriptor if one["digest"] == layer.layer.diff_id else one for one in manifest["layers"]
            ]
        described = [mapping_of(one) for one in [*list_of(manifest["layers"]), manifest["config"]]]
        named = {text_of(one["digest"]): size_of(one["size"]) for one in described}
        paths = {digest: _path(root, digest) for digest in named}
        blobs = tuple(
            found.get(digest)
            # A thin layout lacks what the registry holds (cog_nix.build.thin).
            or Blob(digest, size, paths[digest] if paths[digest].exists() else None)
            for digest, size in named.items()
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(
            f"{root} is not an OCI layout with one image: {error}", hint="Build it again."
        ) from error
    return Layout(manifest_of(manifest), blobs)


def made(folder: Path) -> Blob | None:
    """Return the blob that Nix has made of a layer; None: what it has made is something else."""
    try:
        found = jsonvalue.loads((folder / "blob.json").read_bytes())
        return Blob(text_of(found["digest"]), size_of(found["size"]), folder / "blob")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def manifest_of(manifest: dict[str, Any]) -> Manifest:
    """Return what a registry is sent for an OCI manifest: Docker's, where that can say the same."""
    if any(one["mediaType"].endswith("+zstd") for one in manifest["layers"]):
        return Manifest(OCI_MANIFEST, _compact(manifest))
    return docker_manifest(manifest)


def known(root: Path) -> Known:
    """Return what the layers of a layout came to, as Nix has written it beside.

    Raises:
        ImageError: it has not.
    """
    file = root / "known.json"
    try:
        return Known.parse(jsonvalue.loads(file.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableImageError(file, str(error)) from error


def pointers(root: Path) -> list[str]:
    """Return the digests of the manifests that a layout's index names.

    Raises:
        OSError, ValueError, KeyError, TypeError: it has no index.
    """
    found = list_of(jsonvalue.loads((root / "index.json").read_bytes())["manifests"])
    return [text_of(mapping_of(one)["digest"]) for one in found]


def docker_manifest(manifest: dict[str, Any]) -> Manifest:
    """Return the Docker manifest that says what an OCI manifest says."""
    data = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {**manifest["config"], "mediaType": _DOCKER_CONFIG},
        "layers": [{**one, "mediaType": _docker_layer(one["mediaType"])} for one in manifest["layers"]],
    }
    return Manifest(DOCKER_MANIFEST, _compact(data))


def _docker_layer(kind: str) -> str:
    return _DOCKER_LAYER if kind.endswith("+gzip") else _DOCKER_PLAIN_LAYER


def index_of(
    images: Sequence[tuple[Manifest, Platform]], weights: Sequence[Mapping[str, Any]] = ()
) -> Manifest:
    """Return an OCI index (image-spec, image-index.md) of one model's images.

    With weights it is what upstream pushes for projects with ``model:``.

    Args:
        images: their manifests, and what each is for.
        weights: descriptors of the weights' manifests (:mod:`cog_nix.registry.weights`).
    """
    descriptors = [
        {
            "mediaType": image.media_type,
            "size": len(image.data),
            "digest": image.digest,
            "platform": {"architecture": platform.architecture, "os": platform.os},
        }
        for image, platform in images
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*descriptors, *weights]}
    return Manifest(OCI_INDEX, _compact(index))


def _outside(layer: LayerBytes, packing: Packing, reporter: Reporter) -> tuple[dict[str, Any], Blob]:
    """Return how a manifest names a layer whose files are not in the store, and its blob."""
    digest, size, kind = layer.layer.diff_id, layer.layer.size, _OCI_LAYER
    blob = Blob(digest, size, layer)
    codec = packed.codec_of(packing)
    if codec and packed.pays(layer, codec):
        found = packed.compress(layer, codec, reporter)
        blob = Blob(found.digest, found.size, packed.PackedLayer(layer, found, codec))
        kind += codec.suffix
    return {"mediaType": kind, "digest": blob.digest, "size": blob.size}, blob


def _path(root: Path, digest: str) -> Path:
    return root / blob_file(digest)


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
