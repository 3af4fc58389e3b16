"""The command line: the only place that reads flags, prints or exits."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``cog-nix``; map our errors to a message and an exit code. Bugs keep their traceback."""
    from cog_nix.cli import quick, streams  # noqa: PLC0415 - the entry point stays importable

    streams.ensure_open()
    if quick.answer(sys.argv[1:]):
        sys.exit(0)
    from cog_nix.cli.app import run  # noqa: PLC0415 - typer takes longer to import than a quick answer

    sys.exit(run(sys.argv[1:]))
