"""``cog-nix completion``: what makes a shell complete commands and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

_HELP = """Print a script that makes a shell complete commands and options.

\b
  cog-nix completion bash > ~/.local/share/bash-completion/completions/cog-nix
  cog-nix completion zsh > ~/.zfunc/_cog-nix   with ~/.zfunc in fpath, before compinit
  cog-nix completion fish > ~/.config/fish/completions/cog-nix.fish
"""


class Shell(StrEnum):
    """A shell that can complete."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    powershell = "powershell"


Name = Annotated[Shell, typer.Argument(show_default=False, help="bash, zsh, fish or powershell.")]


def variable(program: str) -> str:
    """Return the environment variable through which a shell asks a program for completions."""
    return f"_{program.replace('-', '_').upper()}_COMPLETE"


def register(app: typer.Typer) -> None:
    """Add ``completion`` to the command line."""
    app.command("completion", help=_HELP)(completion)


def completion(ctx: typer.Context, shell: Name) -> None:
    """Print the script for the program as it was called: ``cog-nix``, or ``cog`` through the shim."""
    from typer.completion import (  # type: ignore[attr-defined] # noqa: PLC0415 - typer's own, not in its list
        get_completion_script,
    )

    program = ctx.find_root().info_name or "cog-nix"
    script = get_completion_script(prog_name=program, complete_var=variable(program), shell=shell.value)
    typer.echo(script + (_first_time(program) if shell is Shell.zsh else ""))


def _first_time(program: str) -> str:
    """Return what completes at the first Tab as well.

    zsh loads a file of its fpath when it needs the function of the file's name, and calls that. Without this
    the file only defines a function for the next time (zshcompsys(1), "Autoloaded files").
    """
    function = f"_{program.replace('-', '_')}_completion"
    return f'\n\nif [ "$funcstack[1]" = "_{program}" ]; then\n  {function} "$@"\nfi'
