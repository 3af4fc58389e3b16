"""Writes a built image to a file or folder: a Docker archive, an OCI image layout, or that in a tar.

It is asked for as skopeo has it: ``docker-archive:FILE``, ``oci:FOLDER``, ``oci-archive:FILE``; a name
without any of these is a Docker archive.
"""

from __future__ import annotations

import io
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from cog_nix.errors import ConfigError, ImageError
from cog_nix.image import archive_program, pieces
from cog_nix.image.delta import archive_size, docker_archive, header
from cog_nix.image.description import ImageDescription, blob_file
from cog_nix.image.layer_bytes import outside_of
from cog_nix.image.pieces import BLOCK, END
from cog_nix.system import files, scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from cog_nix.report import Bar, Reporter

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
    def members(self) -> tuple[str, ...]:
        """What the folder has that is written, if it is one."""
        return _LAYOUT if self.kind == "oci" else ()

    @property
    def needs_blobs(self) -> bool:
        """Whether the image has to be built with its compressed layers."""
        return self.kind != "docker-archive"


def write(
    output: Output, image: Path | None, layout: Path | None, tags: Sequence[str], reporter: Reporter
) -> None:
    """Write an image; what was there before is replaced when all is done.

    Args:
        output: as what, and where to.
        image: the executable that Nix built; None: there is the layout alone.
        layout: the OCI layout that Nix built, or any other; needed for ``oci`` and ``oci-archive``.
        tags: names in a Docker archive.
        reporter: shows the bytes that are written.

    Raises:
        ImageError: the image cannot be read or the file not be written.
    """
    title = f"Writing {output.path.name}"
    try:
        if output.kind == "docker-archive" and image:
            described = ImageDescription.read(image)
            with _file(output.path) as sink, reporter.bytes_bar(title, archive_size(described, tags)) as bar:
                pieces.write(pieces.counted(docker_archive(described, tags, ()), bar), sink)
            return
        assert layout is not None  # noqa: S101 - for the type checker
        if output.kind == "docker-archive":
            with _file(output.path) as sink, archive_program.opened(layout) as archive:
                archive_program.write(archive, sink, list(tags), frozenset())
            return
        members = list(_members(layout))
        total = sum(one.size for one in members)
        if output.kind == "oci-archive":
            with _file(output.path) as sink, reporter.bytes_bar(title, total) as bar:
                _tar(members, sink, bar)
        else:
            _refuse_other(output.path)
            with reporter.bytes_bar(title, total) as bar:
                _copy(members, output.path, bar)
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


@dataclass(frozen=True)
class _Member:
    """A folder or a file of a layout."""

    name: str
    size: int = 0
    """Bytes; of a folder, 0."""
    read: Callable[[], Iterator[pieces.Piece]] | None = None
    """Yields its bytes; None: it is a folder."""


def _members(layout: Path) -> Iterator[_Member]:
    """Yield what is in a layout, each folder before what is in it; layers of project files come last."""
    for path in sorted(path for name in _LAYOUT for path in (layout / name, *(layout / name).rglob("*"))):
        name = path.relative_to(layout).as_posix()
        if path.is_dir():
            yield _Member(name)
        else:
            yield _Member(name, path.stat().st_size, partial(_bytes_of, path))
    for one in outside_of(layout):
        yield _Member(blob_file(one.layer.diff_id), one.layer.size, one.pieces)


def _bytes_of(path: Path) -> Iterator[pieces.Piece]:
    with io.FileIO(path) as file:
        yield from pieces.ranges(file, 0, path.stat().st_size)


def _tar(members: Iterable[_Member], sink: BinaryIO, bar: Bar) -> None:
    for one in members:
        if one.read:
            sink.write(header(one.name, one.size))
            pieces.write(pieces.counted(one.read(), bar), sink)
            sink.write(bytes(-one.size % BLOCK))
        else:
            sink.write(_folder(one.name))
    sink.write(END)


def _folder(name: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info.tobuf(tarfile.PAX_FORMAT)


def _refuse_other(folder: Path) -> None:
    """Refuse to replace what is no layout."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "oci-layout").is_file():
        raise ImageError(f"{folder} holds something other than an OCI layout.", hint="Name another folder.")


def _copy(members: Iterable[_Member], folder: Path, bar: Bar) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch.folder("new", folder.parent) as work:
        new = work / "new"
        new.mkdir()
        for one in members:
            if one.read:
                with (new / one.name).open("wb") as sink:
                    pieces.write(pieces.counted(one.read(), bar), sink)
            else:
                (new / one.name).mkdir()
        if folder.exists():
            folder.rename(work / "old")
        new.rename(folder)
