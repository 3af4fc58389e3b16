"""Makes an image archive behave like an image that Nix built, so that every runtime can load it.

A built image is a program that writes a Docker archive to stdout (nix/builders/stream.py). This module is
that program for Docker archives and OCI layouts, folders or tars::

    python -m cog_nix.archive_program FILE [--tag NAME:TAG]… [--skip DIFF_ID]…
    python -m cog_nix.archive_program FILE --inspect
"""

from __future__ import annotations

import argparse
import io
import json
import shlex
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from cog_nix.errors import ImageError
from cog_nix.image import blob_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_REF = "org.opencontainers.image.ref.name"
_NAMES = (_REF, "io.containerd.image.name")
_CHUNK = 1 << 20


class _Files(Protocol):
    """The files of an archive, by name."""

    def read(self, name: str) -> bytes:
        """Return a file; KeyError or OSError when there is none."""

    def open(self, name: str) -> tuple[IO[bytes], int]:
        """Open a file; return it with its size."""


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def open(self, name: str) -> tuple[IO[bytes], int]:
        path = self._root / name
        return path.open("rb"), path.stat().st_size


class _Tar:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def read(self, name: str) -> bytes:
        return self.open(name)[0].read()

    def open(self, name: str) -> tuple[IO[bytes], int]:
        member = self._tar.getmember(name)
        if member.issym():  # older Docker links a layer that stands in an archive twice
            member = self._tar.getmember(str(Path(name).parent.joinpath(member.linkname)))
        stream = self._tar.extractfile(member)
        if stream is None:
            raise KeyError(name)
        return stream, member.size


@dataclass(frozen=True)
class Archive:
    """An image in an archive."""

    files: _Files
    config: str
    """Name of the configuration's file."""
    layers: tuple[str, ...]
    """Names of the layers' files, from bottom to top."""
    tags: tuple[str, ...]

    def described(self) -> dict[str, Any]:
        """Return what ``--inspect`` of a built image says."""
        import hashlib  # noqa: PLC0415 - only here

        text = self.files.read(self.config)
        config = json.loads(text)
        sizes = []
        for name in self.layers:
            stream, size = self.files.open(name)
            stream.close()
            sizes.append(size)
        digest = hashlib.sha256(text).hexdigest()
        return {
            "id": f"sha256:{digest}",
            "tag": next(iter(self.tags), ""),
            "diff_ids": config["rootfs"]["diff_ids"],
            "sizes": sizes,
            "config": config,
        }


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open an archive.

    Args:
        path: a Docker archive or an OCI layout in a tar, compressed or not, or the folder of a layout.

    Raises:
        ImageError: it is neither, or holds more than one image.
    """
    try:
        if path.is_dir():
            yield _read(_Folder(path), path)
        else:
            with tarfile.open(path) as tar:
                yield _read(_Tar(tar), path)
    except (OSError, KeyError, ValueError, TypeError, tarfile.TarError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ImageError(
            f"{path} is neither an image that cog-nix built, nor a Docker archive or OCI layout: {said}",
            hint="Name ./result, a file that `cog-nix build -o` or `docker save` wrote, or - for stdin.",
        ) from error


def _read(files: _Files, path: Path) -> Archive:
    try:
        found = json.loads(files.read("manifest.json"))
    except (KeyError, OSError):
        return _layout(files, path)
    _only(found, path)
    return Archive(files, found[0]["Config"], tuple(found[0]["Layers"]), tuple(found[0]["RepoTags"] or ()))


def _layout(files: _Files, path: Path) -> Archive:
    pointers = json.loads(files.read("index.json"))["manifests"]
    _only(pointers, path)
    manifest = json.loads(files.read(blob_file(pointers[0]["digest"])))
    notes = pointers[0].get("annotations") or {}
    # A layout has a tag alone, as a rule; a reference is a name as well.
    tags = tuple(notes[name] for name in _NAMES if ":" in notes.get(name, ""))
    return Archive(
        files,
        blob_file(manifest["config"]["digest"]),
        tuple(blob_file(one["digest"]) for one in manifest["layers"]),
        tags,
    )


def _only(found: list[Any], path: Path) -> None:
    if len(found) != 1:
        raise ImageError(f"{path} holds {len(found)} images.", hint="Name an archive of one image.")


def write(archive: Archive, sink: IO[bytes], tags: list[str], skip: frozenset[str]) -> None:
    """Write a Docker archive; layers may be compressed in it.

    Args:
        archive: what to write.
        sink: need not seek.
        tags: references to give the image.
        skip: diff ids of layers to leave out.
    """
    config = archive.files.read(archive.config)
    diff_ids: list[str] = json.loads(config)["rootfs"]["diff_ids"]
    names = [f"{one.removeprefix('sha256:')}.tar" for one in diff_ids]
    manifest = [{"Config": "config.json", "RepoTags": tags, "Layers": names}]
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar:
        written: set[str] = set()
        for diff_id, name, source in zip(diff_ids, names, archive.layers, strict=True):
            if diff_id not in skip | written:
                written.add(diff_id)
                stream, size = archive.files.open(source)
                with stream:
                    _member(tar, name, stream, size)
        for name, data in (("config.json", config), ("manifest.json", json.dumps(manifest).encode())):
            _member(tar, name, io.BytesIO(data), len(data))


def _member(tar: tarfile.TarFile, name: str, stream: IO[bytes], size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    tar.addfile(info, stream)


def program(archive: Path, folder: Path) -> Path:
    """Write a program that stands for an archive.

    Args:
        archive: the archive.
        folder: where to write it; has to be there for as long as it is used.
    """
    path = folder / "image"
    command = [sys.executable, "-m", "cog_nix.archive_program", str(archive.absolute())]
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
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
