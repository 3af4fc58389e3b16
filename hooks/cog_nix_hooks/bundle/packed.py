"""The tar of a layer that is unpacked, made anew: the same files, and not the same bytes.

Owners that a plain user could not give its files are lost, and so is their order. What overlayfs marks as
removed is marked as in an image again (image-spec, layer.md, "Whiteouts").
"""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cog_nix.errors import CogNixError, UnreadableFileError
from cog_nix.image.project_files import FileChangedError
from cog_nix.image.whiteouts import OPAQUE, WHITEOUT
from cog_nix.system.status import status
from cog_nix_hooks.bundle.layers import OPAQUE_ATTRIBUTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix_hooks.bundle.bound import BoundFile


@contextmanager
def opened(folder: Path, bound: Sequence[BoundFile]) -> Iterator[IO[bytes]]:
    """Yield the tar of a layer, which is made while it is read.

    Args:
        folder: of the layer.
        bound: files that it leaves where they are.

    Raises:
        FileChangedError: one of these has changed.
        UnreadableFileError: a file cannot be read.
    """
    reading, writing = os.pipe()
    failures: list[CogNixError] = []

    def write() -> None:
        # Who reads may have seen enough, which closing the pipe meets as well: it writes what is buffered.
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as sink:
            try:
                _write(folder, {one.target: one for one in bound}, sink)
            except BrokenPipeError:
                raise
            except OSError as error:
                failures.append(UnreadableFileError(error.filename or folder, error))
            except CogNixError as error:
                failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with os.fdopen(reading, "rb") as stream:
            yield stream
    finally:
        thread.join()
        if failures:
            raise failures[0]


def _write(folder: Path, bound: Mapping[str, BoundFile], sink: IO[bytes]) -> None:
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for parent, names, files in os.walk(folder):
            names.sort()
            here = Path(parent).relative_to(folder)
            if _is_opaque(parent):
                tar.addfile(tarfile.TarInfo(str(here / OPAQUE)))
            for name in sorted((*names, *files)):
                _add(tar, Path(parent, name), str(here / name), bound)


def _add(tar: tarfile.TarFile, path: Path, name: str, bound: Mapping[str, BoundFile]) -> None:
    info = path.lstat()
    if stat.S_ISCHR(info.st_mode) and not info.st_rdev:
        folder, _, removed = name.rpartition("/")
        tar.addfile(tarfile.TarInfo(f"{folder}/{WHITEOUT}{removed}".lstrip("/")))
        return
    member = tar.gettarinfo(path, name)
    if member is None:  # a socket
        return
    if not member.isreg():
        tar.addfile(member)
        return
    elsewhere = bound.get(name)
    with _content(path, elsewhere, member.size) as content:
        if elsewhere:
            if status(elsewhere.source) != elsewhere.status:
                raise FileChangedError(elsewhere.source)
            member.size = os.fstat(content.fileno()).st_size
        tar.addfile(member, content)


def _content(path: Path, elsewhere: BoundFile | None, size: int) -> IO[bytes]:
    """Open a file, or as many zeros where an image keeps it from its owner, who runs this."""
    try:
        return Path(elsewhere.source if elsewhere else path).open("rb")
    except PermissionError:
        if elsewhere:
            raise
        content = tempfile.TemporaryFile()  # noqa: SIM115 - who called closes it
        content.truncate(size)
        return content


def _is_opaque(folder: str) -> bool:
    try:
        return os.getxattr(folder, OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        return False
