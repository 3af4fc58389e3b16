"""What is left to upstream's ``cog``: what its shim is asked for that cog-nix does not do."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from cog_nix.cli import interrupts
from cog_nix.system.processes import spawn
from cog_nix.system.shim import require_upstream

if TYPE_CHECKING:
    from collections.abc import Sequence

_DOCKERFILE = "--dockerfile"


def needs_upstream(arguments: Sequence[str]) -> bool:
    """Whether an option asks for what only a build from a Dockerfile can do."""
    before_dashes = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    return any(one == _DOCKERFILE or one.startswith(f"{_DOCKERFILE}=") for one in before_dashes)


def hand_over(arguments: Sequence[str]) -> int:
    """Run upstream's program with this process's streams; return its exit status.

    Ctrl-C reaches it from the terminal by itself, other signals are handed on; it ends as it sees fit.

    Raises:
        CogNixError: there is none.
    """
    program = require_upstream(f"`{arguments[0]}`" if arguments else "This")
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
