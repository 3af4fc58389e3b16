"""Archives of a built image that leave out what their receiver holds.

:func:`docker_archive` yields what the image's own executable writes (nix/builders/stream.py), without
starting another Python. :class:`OciImage` is the same image as an OCI layout. Its layers are plain tars, so a
layer's digest is its diff id (image-spec, "Layer DiffID"), and a receiver that finds layers by digest has no
need of those that are missing: containerd's store and containers/storage are such. The manifest depends on
the image alone. So its digest, by which containerd's store names an image, is known before anything is sent.
"""

from __future__ import annotations

import json
import tarfile
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cog_nix.image.description import blob_file
from cog_nix.image.layer_bytes import LayerBytes
from cog_nix.image.pieces import BLOCK, END
from cog_nix.system.digests import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cog_nix.image.description import ImageDescription
    from cog_nix.image.pieces import Piece

_OCI = "application/vnd.oci.image"


class OciImage:
    """A built image as containerd and Podman know it.

    Args:
        image: it has to carry its configuration's text and its layers' parts: see :func:`is_described`.
    """

    def __init__(self, image: ImageDescription) -> None:
        self.image = image

    @cached_property
    def manifest(self) -> bytes:
        """The image manifest (image-spec, manifest.md)."""
        layers = [
            {"mediaType": f"{_OCI}.layer.v1.tar", "digest": layer.diff_id, "size": layer.size}
            for layer in self.image.layers
        ]
        config = {
            "mediaType": f"{_OCI}.config.v1+json",
            "digest": self.image.id,
            "size": len(self.image.text),
        }
        kind = f"{_OCI}.manifest.v1+json"
        return _compact({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers})

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the manifest."""
        return digest_of(self.manifest)

    def archive(self, skip: Collection[str]) -> Iterator[Piece]:
        """Yield the archive: an image layout in a tar (image-spec, image-layout.md). It gives no name.

        Args:
            skip: digests of the layers to leave out.

        Raises:
            OSError: the store cannot be read.
        """
        small = {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": self._index(),
            blob_file(self.digest): self.manifest,
            blob_file(self.image.id): self.image.text,
        }
        yield members(small)
        yield from _layers(self.image, {one: blob_file(one) for one in self.image.diff_ids}, skip)
        yield END

    def _index(self) -> bytes:
        pointer = {
            "mediaType": f"{_OCI}.manifest.v1+json",
            "digest": self.digest,
            "size": len(self.manifest),
            "platform": {name: self.image.config[name] for name in ("architecture", "os")},
        }
        return _compact({"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [pointer]})


def docker_archive(image: ImageDescription, tags: Sequence[str], skip: Collection[str]) -> Iterator[Piece]:
    """Yield a Docker archive, as ``docker save`` writes it.

    Args:
        image: one that :func:`is_described`.
        tags: references to give the image, ``name:tag``.
        skip: digests of the layers to leave out.

    Raises:
        OSError: the store cannot be read.
    """
    yield from docker_archive_layers(image, skip)
    yield docker_archive_end(image, tags)


def archive_size(image: ImageDescription, tags: Sequence[str]) -> int:
    """Return how many bytes :func:`docker_archive` yields of a whole image."""
    sizes = {layer.diff_id: layer.size for layer in image.layers}.items()
    layers = sum(len(header(layer_file(one), size)) + size + -size % BLOCK for one, size in sizes)
    return layers + len(docker_archive_end(image, tags))


def docker_archive_layers(image: ImageDescription, skip: Collection[str]) -> Iterator[Piece]:
    """Yield the layers of a Docker archive: what it begins with.

    Raises:
        OSError: the store cannot be read.
    """
    return _layers(image, {one: layer_file(one) for one in image.diff_ids}, skip)


def docker_archive_end(image: ImageDescription, tags: Sequence[str]) -> bytes:
    """Return what a Docker archive ends with: the configuration, and what names all of it."""
    config = f"{image.id.removeprefix('sha256:')}.json"
    listed = [layer_file(layer.diff_id) for layer in image.layers]
    manifest = [{"Config": config, "RepoTags": list(tags), "Layers": listed}]
    return members({config: image.text, "manifest.json": _compact(manifest)}) + END


def layer_file(diff_id: str) -> str:
    """Return what a layer is called in a Docker archive."""
    return f"{diff_id.removeprefix('sha256:')}.tar"


def is_described(image: ImageDescription) -> bool:
    """Tell whether an image says all that :class:`OciImage` needs: what stands for an archive does not."""
    return bool(image.text) and all(layer.parts for layer in image.layers)


def _layers(image: ImageDescription, names: Mapping[str, str], skip: Collection[str]) -> Iterator[Piece]:
    """Yield the members of an archive that are layers, each once, under these names."""
    written = set(skip)
    for layer in image.layers:
        if layer.diff_id not in written:
            written.add(layer.diff_id)
            yield header(names[layer.diff_id], layer.size)
            yield from LayerBytes(layer, image.path.parent).pieces()
            if padding := -layer.size % BLOCK:
                yield bytes(padding)


def members(files: Mapping[str, bytes]) -> bytes:
    """Return files as members of a tar."""
    return b"".join(
        header(path, len(data)) + data + bytes(-len(data) % BLOCK) for path, data in files.items()
    )


def header(path: str, size: int) -> bytes:
    """Return what stands before a file in a tar."""
    info = tarfile.TarInfo(path)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


BEGINNING = header("begins", 0)
"""What a Docker archive may begin with before anything of it is known: an empty file."""


def _compact(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
