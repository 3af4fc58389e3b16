"""Lay an image out for registries: an OCI image layout whose blobs are links into the store.

Spec::

    {"image": store path, "tag": "cog-hello:latest", "blobs": [store path or null, …]}

``blobs`` are the outputs of :mod:`blob`, from bottom to top. The layer without one is the project itself: it
is small and changes at every edit, so it is compressed here. Layers whose files are not in the store are
named only: whoever takes the layout to somewhere reads them where they are. Besides the layout (image-spec,
image-layout.md) the output has ``image``, a link to the image. All links are relative, so they hold wherever
the store is.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypedDict

import blob
import inputs
import stream

_OCI = "application/vnd.oci.image"
_REF = "org.opencontainers.image.ref.name"


class Descriptor(TypedDict):
    """What points to content (image-spec, descriptor.md)."""

    mediaType: str
    digest: str
    size: int


class Layout:
    """An OCI image layout that is being written.

    Args:
        root: folder to make.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs/sha256"
        self._blobs.mkdir(parents=True)
        (root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def path(self, digest: str) -> Path:
        """Return where a blob is."""
        return self._blobs / digest.removeprefix("sha256:")

    def text(self, kind: str, text: str) -> Descriptor:
        """Add a JSON document of a media type."""
        data = text.encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.path(digest).write_bytes(data)
        return {"mediaType": f"{_OCI}.{kind}+json", "digest": digest, "size": len(data)}

    def referenced(self, folder: Path) -> Descriptor:
        """Add an output of :mod:`blob`."""
        found: blob.Blob = json.loads((folder / "blob.json").read_text())
        link = self.path(found["digest"])
        if not link.is_symlink():
            link.symlink_to(Path("../../..", folder.name, "blob"))
        return _layer(found)

    @staticmethod
    def named(layer: stream.Layer) -> Descriptor:
        """Describe a layer that stays where it is, as it is."""
        return {"mediaType": f"{_OCI}.layer.v1.tar", "digest": layer["diff_id"], "size": layer["size"]}

    def compressed(self, layer: stream.Layer) -> Descriptor:
        """Compress a layer into the layout."""
        temporary = self.root / "blob"
        found = blob.write(layer, temporary)
        temporary.rename(self.path(found["digest"]))
        return _layer(found)


def _layer(found: blob.Blob) -> Descriptor:
    return {
        "mediaType": f"{_OCI}.layer.v1.tar+gzip",
        "digest": found["digest"],
        "size": found["size"],
    }


def compact(value: Any) -> str:
    """Return JSON that is always the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def write(image: stream.Image, blobs: list[Path | None], out: Path, tag: str) -> None:
    """Write the layout of an image.

    Args:
        image: its description.
        blobs: for each layer its compressed form; None: compress it.
        out: folder to make.
        tag: what the index calls the image.
    """
    layout = Layout(out)
    config = layout.text("config.v1", image["config"])
    layers = [
        layout.referenced(folder)
        if folder
        else layout.named(layer)
        if stream.is_outside(layer)
        else layout.compressed(layer)
        for layer, folder in zip(image["layers"], blobs, strict=True)
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": config,
        "layers": layers,
    }
    pointer = {
        **layout.text("manifest.v1", compact(manifest)),
        "platform": {"architecture": "amd64", "os": "linux"},
        "annotations": {_REF: tag.rpartition(":")[2]},
    }
    index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [pointer]}
    (out / "index.json").write_text(compact(index))


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    out, path = inputs.output(), Path(spec["image"])
    write(stream.read(path), [Path(folder) if folder else None for folder in spec["blobs"]], out, spec["tag"])
    (out / "image").symlink_to(Path("..", path.name))
