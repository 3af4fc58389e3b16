"""Makes an image archive behave like an image that Nix built, so that every runtime can load it.

A built image is a program that writes a Docker archive to stdout (nix/builders/stream.py). This module is
that program for Docker archives and OCI layouts, folders or tars::

    python -m cog_nix.image.archive_program FILE [--tag NAME:TAG]… [--skip DIFF_ID]…
    python -m cog_nix.image.archive_program FILE --inspect
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cog_nix.errors import ImageError
from cog_nix.image import archive_files, delta
from cog_nix.image.description import blob_file
from cog_nix.image.pieces import BLOCK, END
from cog_nix.system import jsonvalue
from cog_nix.system.digests import digest_of
from cog_nix.system.jsonvalue import list_of, mapping_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REF = "org.opencontainers.image.ref.name"
_NAMES = (_REF, "io.containerd.image.name")
_CHUNK = 1 << 20


class NotAnArchiveError(ImageError):
    """A file or folder holds no image, or a damaged one."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            hint="Name ./result, a file that `cog-nix build -o` or `docker save` wrote, or - for stdin."
        )
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        kinds = "neither an image that cog-nix built, nor a Docker archive or OCI layout"
        return f"{self.path} is {kinds}: {self.reason}"


@dataclass(frozen=True)
class Layer:
    """A layer's file in an archive."""

    name: str
    digest: str = ""
    """Of the file, where the archive says it; a Docker archive does not."""


@dataclass(frozen=True)
class Archive:
    """An image in an archive."""

    path: Path
    files: archive_files.Files
    text: bytes
    """The configuration."""
    config: dict[str, Any]
    """What it says."""
    layers: tuple[Layer, ...]
    """From bottom to top."""
    tags: tuple[str, ...]

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """Digests of the layers' tars, from bottom to top."""
        return tuple(map(archive_files.digest, list_of(mapping_of(self.config["rootfs"])["diff_ids"])))

    def described(self) -> dict[str, Any]:
        """Return what ``--inspect`` of a built image says.

        Raises:
            ImageError: a layer is not there.
        """
        sizes = []
        with _explained(self.path):
            for layer in self.layers:
                stream, size = self.files.open(layer.name)
                stream.close()
                sizes.append(size)
        return {
            "id": digest_of(self.text),
            "tag": next(iter(self.tags), ""),
            "diff_ids": self.diff_ids,
            "sizes": sizes,
            "config": self.config,
        }


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive, whoever wrote it. What is wrong with it is found here, or while it is read.

    Args:
        path: a Docker archive or an OCI layout in a tar, compressed or not, or the folder of a layout.

    Raises:
        ImageError: it is neither, or holds more than one image.
    """
    with ExitStack() as stack:
        with _explained(path):
            files: archive_files.Files
            if path.is_dir():
                files = archive_files.Folder(path)
            else:
                files = stack.enter_context(archive_files.Tar(path))
            archive = _read(files, path)
        yield archive


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what is wrong with an archive."""
    try:
        yield
    except (ImageError, *archive_files.UNREADABLE) as error:
        said = getattr(error, "strerror", None) or error
        raise NotAnArchiveError(
            path, f"it has no {said}" if isinstance(error, KeyError) else str(said)
        ) from error


def _read(files: archive_files.Files, path: Path) -> Archive:
    try:
        found = jsonvalue.loads(archive_files.read(files, "manifest.json"))
    except KeyError:
        return _layout(files, path)
    one = _only(found)
    layers = tuple(Layer(name) for name in _texts(one["Layers"]))
    text, tags = archive_files.read(files, text_of(one["Config"])), _texts(one.get("RepoTags") or ())
    return _image(path, files, text, layers, tags)


def _layout(files: archive_files.Files, path: Path) -> Archive:
    pointer = _only(jsonvalue.loads(archive_files.read(files, "index.json"))["manifests"])
    manifest = mapping_of(jsonvalue.loads(_blob(files, pointer)))
    notes = mapping_of(pointer.get("annotations") or {})
    # A layout has a tag alone, as a rule; a reference is a name as well.
    tags = tuple(notes[name] for name in _NAMES if ":" in text_of(notes.get(name, "")))
    digests = [archive_files.digest(mapping_of(one)["digest"]) for one in list_of(manifest["layers"])]
    layers = tuple(Layer(blob_file(one), one) for one in digests)
    return _image(path, files, _blob(files, manifest["config"]), layers, tags)


def _blob(files: archive_files.Files, descriptor: Mapping[str, Any]) -> bytes:
    """Return what a descriptor names (image-spec, descriptor.md)."""
    digest = archive_files.digest(mapping_of(descriptor)["digest"])
    data = archive_files.read(files, blob_file(digest))
    if digest_of(data) != digest or len(data) != descriptor.get("size", len(data)):
        raise ValueError(f"{blob_file(digest)} is not what its name says")
    return data


def _image(
    path: Path, files: archive_files.Files, text: bytes, layers: tuple[Layer, ...], tags: tuple[str, ...]
) -> Archive:
    config = mapping_of(jsonvalue.loads(text))
    archive = Archive(path, files, text, config, layers, tags)
    if len(archive.diff_ids) != len(layers):
        raise ValueError(f"it names {len(layers)} layers, and its configuration {len(archive.diff_ids)}")
    return archive


def _only(found: object) -> dict[str, Any]:
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        raise ValueError(f"it holds {len(found)} images" if isinstance(found, list) else "it lists no images")
    one: dict[str, Any] = found[0]
    return one


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError("it lists something other than names")
    return tuple(value)


def write(archive: Archive, sink: IO[bytes], tags: list[str], skip: frozenset[str]) -> None:
    """Write a Docker archive; layers may be compressed in it.

    Args:
        archive: what to write.
        sink: need not seek.
        tags: references to give the image.
        skip: diff ids of layers to leave out.

    Raises:
        ImageError: a layer is missing, cut off, or another one; then what was written is no image.
        OSError: the sink does not take it.
    """
    sink.writelines(_pieces(archive, tags, skip))


def _pieces(archive: Archive, tags: list[str], skip: frozenset[str]) -> Iterator[bytes]:
    names = {one: delta.layer_file(one) for one in archive.diff_ids}
    written = set(skip)
    for diff_id, layer in zip(archive.diff_ids, archive.layers, strict=True):
        if diff_id not in written:
            written.add(diff_id)
            yield from _layer(names[diff_id], archive, layer)
    manifest = [
        {"Config": "config.json", "RepoTags": tags, "Layers": [names[one] for one in archive.diff_ids]}
    ]
    yield delta.members({"config.json": archive.text, "manifest.json": json.dumps(manifest).encode()})
    yield END


def _layer(name: str, archive: Archive, layer: Layer) -> Iterator[bytes]:
    """Yield a layer as a member; compare it with its digest, where the archive says that.

    Where it does not, whoever takes the image compares the layer's diff id.
    """
    with _explained(archive.path), ExitStack() as stack:
        stream, size = archive.files.open(layer.name)
        stack.enter_context(stream)
        yield delta.header(name, size)
        digest, left = hashlib.sha256(), size
        while left:
            data = stream.read(min(left, _CHUNK))
            if not data:
                raise EOFError("it is shorter than it was")
            digest.update(data)
            left -= len(data)
            yield data
        yield bytes(-size % BLOCK)
        if layer.digest and f"sha256:{digest.hexdigest()}" != layer.digest:
            raise ValueError(f"{layer.name} is not what its name says")


def program(archive: Path, folder: Path) -> Path:
    """Write a program that stands for an archive.

    Args:
        archive: the archive.
        folder: where to write it; has to be there for as long as it is used.
    """
    path = folder / "image"
    command = [sys.executable, "-m", "cog_nix.image.archive_program", str(archive.absolute())]
    # Where this package is found now, it is found then.
    roots = ":".join(one for one in sys.path if one)
    path.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(roots)} exec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)
    return path


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="image")
    parser.add_argument("archive", type=Path)
    parser.add_argument("--tag", action="append")
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("--inspect", action="store_true")
    options = parser.parse_args()
    try:
        with opened(options.archive) as archive:
            if options.inspect:
                sys.stdout.write(json.dumps(archive.described()))
            else:
                tags = options.tag or list(archive.tags)
                write(archive, sys.stdout.buffer, tags, frozenset(options.skip))
    except ImageError as error:
        sys.stderr.write(f"{error.shown()}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"The image was not written: {error.strerror or error}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
