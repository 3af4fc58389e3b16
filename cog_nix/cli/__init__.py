"""The command line: the only place that reads flags, prints or exits."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # signal itself imports much more
import sys


def main() -> None:
    """Run ``cog-nix``; map our errors to a message and an exit code. Bugs keep their traceback."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C is no traceback before the next line either
    from cog_nix.cli import interrupts  # noqa: PLC0415 - the entry point stays importable

    interrupts.watch()
    from cog_nix import scratch  # noqa: PLC0415 - not before there is an answer to Ctrl-C
    from cog_nix.cli import quick  # noqa: PLC0415 - the entry point stays importable

    scratch.sweep()
    if quick.answer(sys.argv[1:]):
        interrupts.finish(0, -1)
    from cog_nix.cli.app import INTERRUPTED, run  # noqa: PLC0415 - typer takes longer than a quick answer

    interrupts.begin()
    interrupts.finish(run(sys.argv[1:]), INTERRUPTED)
