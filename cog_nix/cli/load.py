"""``cog-nix load``: give an image to the runtime, from ./result or an archive."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.options import Tag, check_tag
from cog_nix.errors import ImageError, RuntimeFailure
from cog_nix.image import archive_program, delta
from cog_nix.image.archives import KINDS
from cog_nix.image.description import ImageDescription, store_of, with_tag
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.cli.session import Session


@dataclass(frozen=True, kw_only=True)
class _Options:
    file: Annotated[
        str,
        typer.Argument(help="./result, a Docker archive, an OCI layout (folder or tar), or - for stdin."),
    ] = "./result"
    tag: Tag = None


def load(session: Session, options: _Options) -> None:
    """Load an image.

    Raises:
        ImageError: the file is no image.
        RuntimeFailure: there is nothing to load it into.
    """
    check_tag(options.tag)
    runtime = session.find_runtime()
    if (reason := runtime.available()) is not None:
        raise RuntimeFailure(reason)
    with _program(options.file) as (program, name):
        tags = [with_tag(options.tag or name)] if options.tag or name else []
        image_id = runtime.load(program, tags, session.reporter)
    session.reporter.info(f"Loaded {' '.join(tags) or image_id}")


@contextmanager
def _program(file: str) -> Iterator[tuple[Path, str]]:
    """Yield an executable that writes the image, and the name that it brings along.

    What was named is never run. An image that was built is streamed from the store, as its description says;
    for an archive stands a program of ours.
    """
    with scratch.folder("load") as folder:
        path = _kept(sys.stdin.buffer, folder) if file == "-" else _file(file, folder)
        described = _built(path)
        if described:
            yield described.path, described.tag
            return
        with archive_program.opened(path) as archive:
            name = next(iter(archive.tags), "")
        yield archive_program.program(path, folder), name


def _built(path: Path) -> ImageDescription | None:
    """Return what an image in the store says of itself, None for what is something else."""
    real = path.resolve()
    try:
        described = ImageDescription.read(real)
    except ImageError:
        return None
    if store_of(real) is None or not delta.is_described(described):
        raise ImageError(
            f"{path} looks like what a build leaves, and is not in a Nix store.",
            hint="Name ./result, as the build has left it, or the archive of an image (cog-nix build -o).",
        )
    return described


def _file(file: str, folder: Path) -> Path:
    """Return the path of a file or folder that can be read more than once."""
    path = _named(file)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ImageError(
            f"{file} cannot be read: {error.strerror}", hint="Build first, or name an archive."
        ) from error
    if stat.S_ISFIFO(mode):
        with path.open("rb") as stream:
            return _kept(stream, folder)
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ImageError(f"{file} is neither a file nor a folder.", hint="Name an archive of an image.")
    return path


def _named(file: str) -> Path:
    """Return the path of what may be named as ``build -o`` names it, with the kind in front."""
    path = Path(file)
    if os.path.exists(path):  # noqa: PTH110 - Path.exists raises where a name is too long
        return path
    return next((Path(file.removeprefix(f"{kind}:")) for kind in KINDS if file.startswith(f"{kind}:")), path)


def _kept(stream: IO[bytes], folder: Path) -> Path:
    """Write down what can be read once."""
    if stream.isatty():
        raise ImageError("There is no archive on stdin.", hint="Pipe one in, or name a file.")
    path = folder / "archive"
    try:
        with path.open("wb") as sink:
            shutil.copyfileobj(stream, sink)
    except OSError as error:
        raise ImageError(
            f"The archive cannot be kept in {folder}: {error.strerror}",
            hint="Free some space there, or name another folder in TMPDIR.",
        ) from error
    return path
