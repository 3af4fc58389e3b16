"""What is left to upstream's ``cog``: ``weights``, ``playground``, and what the shim is asked for besides."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli import interrupts
from cog_nix.cli.terminal import reporter
from cog_nix.system.processes import spawn
from cog_nix.system.shim import require_upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEFT = {
    "weights": "Manage the files of weights, with Replicate's cog.",
    "playground": "Open a page in the browser for talking to a model, with Replicate's cog.",
}

Rest = Annotated[list[str] | None, typer.Argument(metavar="[ARG]...", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands that upstream does."""
    settings = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
    for name, text in LEFT.items():
        app.command(name, help=text, context_settings=settings)(_command(name))


def _command(name: str) -> Callable[..., None]:
    def command(rest: Rest = None) -> None:
        status = hand_over([name, *(rest or ())])
        if status:
            raise typer.Exit(status)

    command.__doc__ = LEFT[name]
    return command


def hand_over(arguments: Sequence[str]) -> int:
    """Run upstream's program with this process's streams; return its exit status.

    Ctrl-C reaches it from the terminal by itself, other signals are handed on; it ends as it sees fit.

    Raises:
        CogNixError: there is none.
    """
    program = require_upstream(f"`{arguments[0]}`" if arguments else "This")
    reporter.log(f"{program} {' '.join(arguments)}")
    with spawn([program, *arguments]) as process:
        while True:
            try:
                status = process.wait()
            except KeyboardInterrupt:
                number = interrupts.resume()
                if number != signal.SIGINT:
                    process.send_signal(number)
                continue
            return 128 - status if status < 0 else status
