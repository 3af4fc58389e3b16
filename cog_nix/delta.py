"""Archives of a built image that leave out what their receiver holds.

:func:`docker_archive` yields what the image's own executable writes (nix/builders/stream.py), without
starting another Python. :class:`OciImage` is the same image as an OCI layout. Its layers are plain tars, so a
layer's digest is its diff id (image-spec, "Layer DiffID"), and a receiver that finds layers by digest has no
need of those that are missing: containerd's store and containers/storage are such. The manifest depends on
the image alone. So its digest, by which containerd's store names an image, is known before anything is sent.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cog_nix.image import ImageDescription, LayerDescription

_OCI = "application/vnd.oci.image"
_CHUNK = 1 << 20
_END = bytes(1024)
_BLOCK = 512
_HUB = "docker.io"


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
        return _compact(
            {
                "schemaVersion": 2,
                "mediaType": f"{_OCI}.manifest.v1+json",
                "config": config,
                "layers": layers,
            }
        )

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the manifest."""
        return f"sha256:{hashlib.sha256(self.manifest).hexdigest()}"

    def archive(self, name: str | None, skip: Collection[str]) -> Iterator[bytes]:
        """Yield the archive: an image layout in a tar (image-spec, image-layout.md).

        Args:
            name: what the receiver shall call the image. containerd wants all of it (:func:`full_name`).
            skip: digests of the layers to leave out.

        Raises:
            OSError: the store cannot be read.
        """
        small = {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": self._index(name),
            _blob(self.digest): self.manifest,
            _blob(self.image.id): self.image.text,
        }
        yield _members(small)
        yield from _layers(self.image, {one: _blob(one) for one in self.image.diff_ids}, skip)
        yield _END

    def _index(self, name: str | None) -> bytes:
        pointer: dict[str, Any] = {
            "mediaType": f"{_OCI}.manifest.v1+json",
            "digest": self.digest,
            "size": len(self.manifest),
            "platform": {name: self.image.config[name] for name in ("architecture", "os")},
        }
        if name:
            pointer["annotations"] = {
                "io.containerd.image.name": name,  # what containerd looks for first
                "org.opencontainers.image.ref.name": name,
            }
        return _compact({"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [pointer]})


def docker_archive(image: ImageDescription, tags: Sequence[str], skip: Collection[str]) -> Iterator[bytes]:
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


def docker_archive_layers(image: ImageDescription, skip: Collection[str]) -> Iterator[bytes]:
    """Yield the layers of a Docker archive: what it begins with.

    Raises:
        OSError: the store cannot be read.
    """
    return _layers(image, {one: _layer_file(one) for one in image.diff_ids}, skip)


def docker_archive_end(image: ImageDescription, tags: Sequence[str]) -> bytes:
    """Return what a Docker archive ends with: the configuration, and what names all of it."""
    config = f"{image.id.removeprefix('sha256:')}.json"
    listed = [_layer_file(layer.diff_id) for layer in image.layers]
    manifest = [{"Config": config, "RepoTags": list(tags), "Layers": listed}]
    return _members({config: image.text, "manifest.json": _compact(manifest)}) + _END


def _layer_file(diff_id: str) -> str:
    return f"{diff_id.removeprefix('sha256:')}.tar"


def is_described(image: ImageDescription) -> bool:
    """Tell whether an image says all that :class:`OciImage` needs: what stands for an archive does not."""
    return bool(image.text) and all(layer.parts for layer in image.layers)


def _layers(image: ImageDescription, names: Mapping[str, str], skip: Collection[str]) -> Iterator[bytes]:
    """Yield the members of an archive that are layers, each once, under these names."""
    written = set(skip)
    for layer in image.layers:
        if layer.diff_id not in written:
            written.add(layer.diff_id)
            yield _header(names[layer.diff_id], layer.size)
            yield from layer_bytes(layer, image.path.parent)
            yield bytes(-layer.size % _BLOCK)


def layer_bytes(layer: LayerDescription, store: Path) -> Iterator[bytes]:
    """Yield a layer's tar.

    Args:
        layer: one that has parts.
        store: the folder that holds the store paths, ``/nix/store`` or where that really is.

    Raises:
        OSError: the store cannot be read.
    """
    current, opened = "", io.FileIO("/dev/null")
    try:
        for part in layer.parts:
            if part.path != current:
                opened.close()
                current, opened = part.path, io.FileIO(store / Path(part.path).relative_to("/nix/store"))
            opened.seek(part.offset)
            left = part.size
            while left:
                data = opened.read(min(left, _CHUNK))
                if not data:
                    raise OSError(f"{part.path} is shorter than it was")
                left -= len(data)
                yield data
    finally:
        opened.close()
    yield _END


def full_name(reference: str) -> str:
    """Return a reference with the registry and folder that Docker means when none is written.

    ``model:1`` is ``docker.io/library/model:1`` (distribution's ``reference.ParseNormalizedNamed``).
    """
    first, slash, _ = reference.partition("/")
    if slash and (first == "localhost" or set(".:") & set(first)):
        return reference
    return f"{_HUB}/{reference}" if slash else f"{_HUB}/library/{reference}"


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _members(files: Mapping[str, bytes]) -> bytes:
    return b"".join(_header(path, len(data)) + _padded(data) for path, data in files.items())


def _header(path: str, size: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)


def _compact(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
