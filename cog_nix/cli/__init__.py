"""The command line: the only place that reads flags, prints or exits."""

from __future__ import annotations

import sys


def leave() -> None:
    """End well, without taking apart what Python has built up: that takes 15 ms."""
    import os  # noqa: PLC0415 - as below
    import threading  # noqa: PLC0415

    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def main() -> None:
    """Run ``cog-nix``; map our errors to a message and an exit code. Bugs keep their traceback."""
    from cog_nix.cli import quick  # noqa: PLC0415 - the entry point stays importable

    try:
        answered = quick.answer(sys.argv[1:])
    except KeyboardInterrupt:
        from cog_nix.cli.terminal import interrupted  # noqa: PLC0415 - as below

        sys.exit(interrupted())
    if answered:
        leave()
    from cog_nix.cli.app import run  # noqa: PLC0415 - typer takes longer to import than a quick answer

    sys.exit(run(sys.argv[1:]))
