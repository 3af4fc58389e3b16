"""Writes a built image to a file or folder: a Docker archive, an OCI image layout, or that in a tar.

It is asked for as skopeo has it: ``docker-archive:FILE``, ``oci:FOLDER``, ``oci-archive:FILE``; a name
without any of these is a Docker archive.
"""

from __future__ import annotations

import shutil
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from cog_nix.errors import ConfigError, ImageError
from cog_nix.image import pieces
from cog_nix.image.delta import docker_archive, header
from cog_nix.image.description import ImageDescription, blob_file
from cog_nix.image.layer_bytes import outside_of
from cog_nix.image.pieces import BLOCK
from cog_nix.system import files, scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

Kind = Literal["docker-archive", "oci", "oci-archive"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_LAYOUT = ("oci-layout", "index.json", "blobs")
"""What is in a layout (image-spec, image-layout.md); Nix's has a link to the image beside it."""


@dataclass(frozen=True)
class Output:
    """Where an image is written to."""

    kind: Kind
    path: Path

    @classmethod
    def parse(cls, text: str) -> Output:
        """Read ``[KIND:]PATH``.

        Raises:
            ConfigError: there is no path.
        """
        for kind in KINDS:
            if text.startswith(f"{kind}:"):
                text = text.removeprefix(f"{kind}:")
                break
        else:
            kind = "docker-archive"
        if not text:
            raise ConfigError("-o names no file.", hint="Write -o image.tar, oci:FOLDER or oci-archive:FILE.")
        return cls(kind, Path(text).absolute())

    @property
    def needs_blobs(self) -> bool:
        """Whether the image has to be built with its compressed layers."""
        return self.kind != "docker-archive"


def write(output: Output, image: Path, layout: Path | None, tags: Sequence[str]) -> None:
    """Write an image; what was there before is replaced when all is done.

    Args:
        output: as what, and where to.
        image: the executable that Nix built.
        layout: the OCI layout that Nix built; needed for ``oci`` and ``oci-archive``.
        tags: names in a Docker archive.

    Raises:
        ImageError: the image cannot be read or the file not be written.
    """
    try:
        if output.kind == "docker-archive":
            described = ImageDescription.read(image)
            with _file(output.path) as sink:
                pieces.write(docker_archive(described, tags, ()), sink)
            return
        assert layout is not None  # noqa: S101 - for the type checker
        if output.kind == "oci-archive":
            with _file(output.path) as sink:
                _tar(layout, sink)
        else:
            _copy(layout, output.path)
    except OSError as error:
        raise ImageError(
            f"{output.path} cannot be written: {error.strerror or error}",
            hint="Free some space, or fix the permissions, then run this again.",
        ) from error


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    if path.is_dir():
        raise ImageError(f"{path} is a folder.", hint="Name a file, or write oci:FOLDER for an OCI layout.")
    with files.replacing(path) as sink:
        yield sink


def _tar(layout: Path, sink: BinaryIO) -> None:
    for one in outside_of(layout):
        sink.write(header(blob_file(one.layer.diff_id), one.layer.size))
        pieces.write(one.pieces(), sink)
        sink.write(bytes(-one.layer.size % BLOCK))
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT, dereference=True) as tar:
        for name in _LAYOUT:
            tar.add(layout / name, name, filter=_plain)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Make an entry the same everywhere."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.isdir() else 0o644
    return info


def _copy(layout: Path, folder: Path) -> None:
    """Copy a layout to a folder; another layout there is replaced, anything else is left alone."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "oci-layout").is_file():
        raise ImageError(f"{folder} holds something other than an OCI layout.", hint="Name another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch.folder("new", folder.parent) as work:
        new = work / "new"
        new.mkdir()
        sources = [path for name in _LAYOUT for path in (layout / name, *(layout / name).rglob("*"))]
        for source in sorted(sources):
            target = new / source.relative_to(layout)
            if source.is_dir():
                target.mkdir()
            else:
                shutil.copyfile(source, target)
        for one in outside_of(layout):
            with (new / blob_file(one.layer.diff_id)).open("wb") as sink:
                pieces.write(one.pieces(), sink)
        if folder.exists():
            folder.rename(work / "old")
        new.rename(folder)
