"""``cog-nix completion``: what makes a shell complete commands and options."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined] # typer's own, not in its list

from cog_nix.cli.commands import completion_variable

if TYPE_CHECKING:
    from cog_nix.cli.session import Session


class Shell(StrEnum):
    """A shell that can complete."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    powershell = "powershell"


@dataclass(frozen=True, kw_only=True)
class _Options:
    shell: Annotated[Shell, typer.Argument(show_default=False, help="bash, zsh, fish or powershell.")]


def completion(session: Session, options: _Options) -> None:
    """Print the script for the program as it was called: ``cog-nix``, or ``cog`` through the shim."""
    shell, program = options.shell, session.program
    variable = completion_variable(program)
    script = get_completion_script(prog_name=program, complete_var=variable, shell=shell.value)
    typer.echo(script + (_first_time(program) if shell is Shell.zsh else ""))


def _first_time(program: str) -> str:
    """Return what completes at the first Tab as well.

    zsh loads a file of its fpath when it needs the function of the file's name, and calls that. Without this
    the file only defines a function for the next time (zshcompsys(1), "Autoloaded files").
    """
    function = f"_{program.replace('-', '_')}_completion"
    return f'\n\nif [ "$funcstack[1]" = "_{program}" ]; then\n  {function} "$@"\nfi'
