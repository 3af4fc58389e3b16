"""``cog-nix shim``: put cog-nix in the place of ``cog``, and back."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.system import shim as stand_in

if TYPE_CHECKING:
    from cog_nix.cli.session import Session
    from cog_nix.report import Reporter


class Action(StrEnum):
    """What to do."""

    install = "install"
    remove = "remove"
    status = "status"


@dataclass(frozen=True, kw_only=True)
class _Options:
    action: Annotated[Action, typer.Argument(help="install, remove or status.")] = Action.status
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="The folder of the program. [default: ~/.local/bin]"),
    ] = None


def shim(session: Session, options: _Options) -> None:
    """Install, remove or look for the shim; ``status`` exits with 1 when `cog` is not cog-nix."""
    where = (options.folder or stand_in.default_folder()).absolute()
    if options.action is Action.install:
        session.reporter.info(f"Wrote {stand_in.install(where)}")
        _tell_path(where, session.reporter)
    elif options.action is Action.remove:
        gone = stand_in.remove(where)
        session.reporter.info(f"Removed {gone}" if gone else f"There is no shim in {where}")
    else:
        _show()


def _tell_path(where: Path, reporter: Reporter) -> None:
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
