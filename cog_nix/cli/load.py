"""``cog-nix load``: give an image to the runtime, from ./result or an archive."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix import scratch
from cog_nix.archives import KINDS
from cog_nix.cli.build import Tag  # noqa: TC001 - typer reads the annotations
from cog_nix.cli.runtimes import find_runtime
from cog_nix.cli.terminal import reporter
from cog_nix.errors import ImageError, RuntimeFailure
from cog_nix.image import ImageDescription, with_tag

if TYPE_CHECKING:
    from collections.abc import Iterator

File = Annotated[
    str,
    typer.Argument(help="./result, a Docker archive, an OCI layout (folder or tar), or - for stdin."),
]


def register(app: typer.Typer) -> None:
    """Add ``load`` to the command line."""
    app.command("load", help="Load an image into Docker, or another --runtime, from ./result or an archive.")(
        load
    )


def load(*, file: File = "./result", tag: Tag = None) -> None:
    """Load an image.

    Raises:
        ImageError: the file is no image.
        RuntimeFailure: there is nothing to load it into.
    """
    runtime = find_runtime()
    if (reason := runtime.available()) is not None:
        raise RuntimeFailure(reason)
    with _program(file) as (program, name):
        tags = [with_tag(tag or name)] if tag or name else []
        image_id = runtime.load(program, tags, reporter)
    reporter.info(f"Loaded {' '.join(tags) or image_id}")


@contextmanager
def _program(file: str) -> Iterator[tuple[Path, str]]:
    """Yield an executable that writes the image, and the name that it brings along."""
    from cog_nix import archive_program  # noqa: PLC0415 - a faster --help

    with scratch.folder("load") as folder:
        path = _from_stdin(folder) if file == "-" else _named(file)
        if not path.exists():
            raise ImageError(f"{file} is not there.", hint="Build first, or name an archive.")
        try:
            described = ImageDescription.read(path)
        except ImageError:
            with archive_program.opened(path) as archive:
                name = next(iter(archive.tags), "")
            yield archive_program.program(path, folder), name
        else:
            yield path.resolve(), described.tag


def _named(file: str) -> Path:
    """Return the path of what may be named as ``build -o`` names it, with the kind in front."""
    path = Path(file)
    if path.exists():
        return path
    return next((Path(file.removeprefix(f"{kind}:")) for kind in KINDS if file.startswith(f"{kind}:")), path)


def _from_stdin(folder: Path) -> Path:
    if sys.stdin.isatty():
        raise ImageError("There is no archive on stdin.", hint="Pipe one in, or name a file.")
    path = folder / "archive"
    with path.open("wb") as sink:
        shutil.copyfileobj(sys.stdin.buffer, sink)
    return path
