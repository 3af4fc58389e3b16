"""Lay an image out for registries: an OCI image layout whose blobs are links into the store.

Spec::

    {"image": store path, "tag": "cog-hello:latest", "blobs": [store path, null or a :class:`Known`, …],
     "compression": "gzip", "keys": {"layers": [key or null, …], "frozen": key}}

``blobs`` are the outputs of :mod:`blob`, from bottom to top. The layer without one is the project itself: it
is small and changes at every edit, so it is compressed here. Layers whose files are not in the store are
named only: whoever takes the layout to somewhere reads them where they are. One that a registry holds already
is named in the manifest and left out.

Besides the layout (image-spec, image-layout.md) the output has ``image``, a link to the image, and
``known.json``, which tells what each layer came to, by its key. All links are relative, so they hold wherever
the store is.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import blob
import inputs
import stream
from target import TARGET

_OCI = "application/vnd.oci.image"
_REF = "org.opencontainers.image.ref.name"


class Descriptor(TypedDict):
    """What points to content (image-spec, descriptor.md)."""

    mediaType: str
    digest: str
    size: int
    annotations: NotRequired[dict[str, str]]


class Known(TypedDict):
    """What a layer came to: digest and bytes of the tar, and of the compressed blob."""

    diff_id: str
    size: int
    digest: str
    compressed: int


class Layout:
    """An OCI image layout that is being written.

    Args:
        root: folder to make.
        compression: of the layers that are compressed here.
    """

    def __init__(self, root: Path, compression: str = "gzip") -> None:
        self.root = root
        self._compression = compression
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

    def layer(self, layer: stream.Layer, blob: Path | Known | None) -> Descriptor:
        """Return what names a layer, which comes into the layout unless it is somewhere else."""
        if blob is None:
            return self.named(layer) if stream.is_outside(layer) else self.compressed(layer)
        if isinstance(blob, Path):
            return self.referenced(blob)
        return _layer(
            {
                "digest": blob["digest"],
                "size": blob["compressed"],
                "diff_id": blob["diff_id"],
                "compression": "gzip",  # a registry is told of no other blobs
                "annotations": {},
            }
        )

    def compressed(self, layer: stream.Layer) -> Descriptor:
        """Compress a layer into the layout."""
        temporary = self.root / "blob"
        found = blob.write(layer, temporary, compression=self._compression)
        temporary.rename(self.path(found["digest"]))
        return _layer(found)


def _layer(found: blob.Blob) -> Descriptor:
    descriptor: Descriptor = {
        "mediaType": f"{_OCI}.layer.v1.tar{blob.SUFFIXES[found['compression']]}",
        "digest": found["digest"],
        "size": found["size"],
    }
    if found["annotations"]:
        descriptor["annotations"] = found["annotations"]
    return descriptor


def compact(value: Any) -> str:
    """Return JSON that is always the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def write(
    image: stream.Image, blobs: list[Path | Known | None], out: Path, tag: str, compression: str = "gzip"
) -> list[Descriptor]:
    """Write the layout of an image; return what names its layers.

    Args:
        image: its description.
        blobs: for each layer its compressed form, or what is known of it; None: compress it.
        out: folder to make.
        tag: what the index calls the image.
        compression: of the layers that are compressed here.
    """
    layout = Layout(out, compression)
    config = layout.text("config.v1", image["config"])
    layers = [layout.layer(layer, blob) for layer, blob in zip(image["layers"], blobs, strict=True)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": config,
        "layers": layers,
    }
    pointer = {
        **layout.text("manifest.v1", compact(manifest)),
        "platform": {"architecture": TARGET.architecture, "os": "linux"},
        "annotations": {_REF: tag.rpartition(":")[2]},
    }
    index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [pointer]}
    (out / "index.json").write_text(compact(index))
    return layers


def known(image: stream.Image, layers: list[Descriptor], keys: dict[str, Any]) -> dict[str, Any]:
    """Return what the layers came to, and what ``pip freeze`` prints, by their keys."""
    found: dict[str, Known] = {
        key: {
            "diff_id": layer["diff_id"],
            "size": layer["size"],
            "digest": blob["digest"],
            "compressed": blob["size"],
        }
        for key, layer, blob in zip(keys["layers"], image["layers"], layers, strict=True)
        if key
    }
    labels = json.loads(image["config"])["config"]["Labels"]
    frozen = {keys["frozen"]: labels["run.cog.pip_freeze"]} if keys["frozen"] else {}
    return {"layers": found, "frozen": frozen}


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    out, path = inputs.output(), Path(spec["image"])
    image = stream.read(path)
    blobs = [Path(blob) if isinstance(blob, str) else blob for blob in spec["blobs"]]
    layers = write(image, blobs, out, spec["tag"], spec["compression"])
    (out / "known.json").write_text(compact(known(image, layers, spec["keys"])))
    (out / "image").symlink_to(Path("..", path.name))
