"""Small images of the form that Nix builds: an executable whose layers are ranges of files in its store."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import image
import stream

from cog_nix.image.description import ImageDescription
from tests.hooks.docker.conftest import layer_tar

_OCI = "application/vnd.oci.image."
_INDEX = f"{_OCI}index.v1+json"
_STREAM = Path(stream.__file__)
_SCRIPT = """#!/bin/sh
exec {python} {stream} "$0" "$@"
"""


@dataclass
class DescribedStore:
    """A store, in a folder of its own."""

    root: Path

    def build(self, *layers: dict[str, bytes] | Path, **config: Any) -> ImageDescription:
        """Write an image with one layer for each mapping of paths to contents or folder that describes it."""
        described = [
            self._outside(layer) if isinstance(layer, Path) else self._layer(f"layer{number}", layer)
            for number, layer in enumerate(layers)
        ]
        document = {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Labels": {"run.cog.nix.lock": "test"}, "Cmd": ["/none"], **config},
            "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in described]},
        }
        image = {"config": json.dumps(document), "layers": described, "tag": "test:latest"}
        text = _SCRIPT.format(python=sys.executable, stream=_STREAM) + stream.MARK + json.dumps(image)
        path = self.root / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}-image"
        if not path.exists():
            path.write_text(text)
            path.chmod(0o555)  # as Nix leaves what is in a store
        return ImageDescription.read(path)

    def _outside(self, described: Path) -> stream.Layer:
        """Take what describes a layer of a project's files, as Nix does."""
        name = json.loads((described / "fragment.json").read_text())["diff_id"][7:39]
        folder = self.root / f"{name}-files"
        shutil.copytree(described, folder, dirs_exist_ok=True)
        return image.read_layer(
            {"name": "weights", "path": str(folder)}, folder, Path("/nix/store", folder.name)
        )

    def _layer(self, name: str, files: dict[str, bytes]) -> stream.Layer:
        """Write a layer as two fragments, which are read in three ranges."""
        tar = layer_tar(files).rstrip(b"\0")
        tar += bytes(-len(tar) % 512)
        digest = hashlib.sha256(tar + stream.END).hexdigest()
        parts: list[stream.Part | stream.Files] = []
        for number, data in enumerate((tar[:512], tar[512:])):
            folder = self.root / f"{digest[:32]}-{name}{number}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "files.tar").write_bytes(b"before" + data)
            path = f"/nix/store/{folder.name}/files.tar"
            half = len(data) // 2
            parts += [
                {"path": path, "offset": 6 + start, "size": size}
                for start, size in ((0, half), (half, len(data) - half))
                if size
            ]
        return {
            "name": name,
            "diff_id": f"sha256:{digest}",
            "size": len(tar) + len(stream.END),
            "parts": parts,
        }


def layer(name: str, size: int = 1000) -> dict[str, bytes]:
    """Return a layer that no other test run shares."""
    return {name: os.urandom(size)}


def compressed(image: ImageDescription, name: str, *, variants: bool = False) -> bytes:
    """Return an OCI archive of an image as a registry gives it: with compressed layers.

    Args:
        image: which.
        name: what it is to be called, in full.
        variants: whether it is one of several platforms' images, the other of which was not pulled.
    """
    described = stream.read(image.path)
    blobs = {}

    def add(data: bytes, kind: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        blobs[f"blobs/{digest.replace(':', '/')}"] = data
        return {"mediaType": f"{_OCI}{kind}", "digest": digest, "size": len(data)}

    tars = [stream.open_layer(one, image.path.parent) for one in described["layers"]]
    manifest = {
        "schemaVersion": 2,
        "config": add(described["config"].encode(), "config.v1+json"),
        "layers": [add(gzip.compress(tar.read(), mtime=0), "layer.v1.tar+gzip") for tar in tars],
    }
    pointer = add(json.dumps(manifest).encode(), "manifest.v1+json")
    if variants:
        other = {
            **pointer,
            "digest": f"sha256:{'ab' * 32}",
            "platform": {"architecture": "arm64", "os": "linux"},
        }
        pointer["platform"] = {"architecture": "amd64", "os": "linux"}
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [other, pointer]}
        pointer = add(json.dumps(index).encode(), _INDEX.removeprefix(_OCI))
    pointer["annotations"] = {"io.containerd.image.name": name}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [pointer]}).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, data in blobs.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
