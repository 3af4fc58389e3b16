"""What is left to upstream's ``cog``: what its shim is asked for that cog-nix does not do."""

from __future__ import annotations

import difflib
import os
import signal
from typing import TYPE_CHECKING

from cog_nix.cli import interrupts
from cog_nix.errors import CogNixError
from cog_nix.system.processes import spawn
from cog_nix.system.shim import HANDED_TO, UPSTREAM, find_upstream, require_upstream

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_DOCKERFILE = "--dockerfile"


class UnknownCommandError(CogNixError):
    """There is no such command, neither here nor in another cog.

    Args:
        command: it.
        alike: commands that may be meant.
    """

    def __init__(self, command: str, alike: Sequence[str]) -> None:
        super().__init__(
            hint="`cog help` lists the commands. What only Replicate's cog does needs it on the PATH, "
            f"or its program's name in {UPSTREAM}."
        )
        self.command, self.alike = command, tuple(alike)

    def __str__(self) -> str:
        meant = "".join(f"\n\t{one}" for one in self.alike)
        return f'unknown command "{self.command}" for "cog"' + (
            f"\n\nDid you mean this?{meant}" if meant else ""
        )


def needs_upstream(arguments: Sequence[str]) -> bool:
    """Whether an option asks for what only a build from a Dockerfile can do."""
    before_dashes = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    return any(one == _DOCKERFILE or one.startswith(f"{_DOCKERFILE}=") for one in before_dashes)


def hand_over(arguments: Sequence[str], known: Collection[str]) -> int:
    """Run upstream's program with this process's streams; return its exit status.

    Ctrl-C reaches it from the terminal by itself, other signals are handed on; it ends as it sees fit.

    Args:
        arguments: of the command line.
        known: commands that are not handed over, but for some options.

    Raises:
        UnknownCommandError: there is none, and no such command.
        CogNixError: there is none.
    """
    if find_upstream() is None and arguments[0] not in known and not needs_upstream(arguments):
        raise UnknownCommandError(arguments[0], difflib.get_close_matches(arguments[0], known))
    program = require_upstream(f"`{arguments[0]}`" if arguments else "This")
    with spawn([program, *arguments], env={**os.environ, HANDED_TO: str(program)}) as process:
        while True:
            try:
                status = process.wait()
            except KeyboardInterrupt:
                number = interrupts.resume()
                if number != signal.SIGINT:
                    process.send_signal(number)
                continue
            return 128 - status if status < 0 else status
