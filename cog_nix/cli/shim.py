"""``cog-nix shim``: put cog-nix in the place of ``cog``, and back."""

from __future__ import annotations

import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cog_nix.cli.terminal import reporter
from cog_nix.system import shim as stand_in

_HELP = """Put a program named cog on the PATH that is cog-nix.

What cog-nix does not do goes to Replicate's cog, where there is one.

\b
  cog-nix shim install            ~/.local/bin/cog
  cog-nix shim install --dir bin  ./bin/cog
  cog-nix shim status             what `cog` runs now
  cog-nix shim remove
"""


class Action(StrEnum):
    """What to do."""

    install = "install"
    remove = "remove"
    status = "status"


Do = Annotated[Action, typer.Argument(help="install, remove or status.")]
Folder = Annotated[
    Path | None,
    typer.Option("--dir", show_default=False, help="The folder of the program. [default: ~/.local/bin]"),
]


def register(app: typer.Typer) -> None:
    """Add ``shim`` to the command line."""
    app.command("shim", help=_HELP)(shim)


def shim(action: Do = Action.status, folder: Folder = None) -> None:
    """Install, remove or look for the shim; ``status`` exits with 1 when `cog` is not cog-nix."""
    where = (folder or stand_in.default_folder()).absolute()
    if action is Action.install:
        reporter.info(f"Wrote {stand_in.install(where)}")
        _tell_path(where)
    elif action is Action.remove:
        gone = stand_in.remove(where)
        reporter.info(f"Removed {gone}" if gone else f"There is no shim in {where}")
    else:
        _show()


def _tell_path(where: Path) -> None:
    found = stand_in.status()
    if found.first == where / stand_in.NAME:
        return
    before = f" before {found.first}" if found.first else ""
    reporter.warn(f"`cog` does not run it yet: {where} must come{before} on the PATH.")
    reporter.info(f'  export PATH={shlex.quote(str(where))}:"$PATH"')


def _show() -> None:
    found = stand_in.status(os.environ)
    typer.echo(f"cog is {found.first or 'not on the PATH'}{' (cog-nix)' if found.active else ''}")
    for path in found.shims:
        if path != found.first:
            typer.echo(f"shim {path}, hidden by {found.first}")
    typer.echo(f"Replicate's cog is {found.upstream or 'not on the PATH'}")
    if not found.active:
        raise typer.Exit(1)
