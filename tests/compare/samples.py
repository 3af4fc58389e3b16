"""Images made small, in archives and in memory."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from cog_nix.compare.subject import Layer, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer(files: Mapping[str, str]) -> bytes:
    """Return a tar of some files."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for path, text in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return sink.getvalue()


def configuration(layers: list[bytes], **options: Any) -> dict[str, Any]:
    """Return an image's configuration."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": options,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(one) for one in layers]},
    }


def image(*layers: bytes, title: str = "image", **options: Any) -> Subject:
    """Return an image in memory."""
    config = configuration(list(layers), **options)

    @contextmanager
    def opened(number: int) -> Iterator[IO[bytes]]:
        yield io.BytesIO(layers[number])

    described = tuple(Layer(digest_of(one), len(one)) for one in layers)
    return Subject(title, digest_of(json.dumps(config).encode()), config, described, opened)


def docker_archive(path: Path, layers: list[bytes], name: str = "a:b", **options: Any) -> Path:
    """Write an archive as ``docker save`` does."""
    files = {f"{number}.tar": data for number, data in enumerate(layers)}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": list(files)}]
    files |= {"config.json": json.dumps(configuration(layers, **options)).encode()}
    files |= {"manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as tar:
        for member, data in files.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path
