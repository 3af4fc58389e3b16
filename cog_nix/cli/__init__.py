"""The command line: the only place that reads flags, prints or exits."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # signal itself imports much more
import sys


def leave(status: int = 0) -> None:
    """End, without taking apart what Python has built up: that takes 15 ms."""
    import atexit
    import os
    import threading

    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    from cog_nix.cli import interrupts, streams

    interrupts.ignore_from_now_on()
    atexit._run_exitfuncs()  # noqa: SLF001 - what Python runs at its end

    status, problem = streams.flush_stdout(status)
    if problem:
        streams.write_stderr(f"error: {problem}\n")
    os._exit(status)


def main() -> None:
    """Run ``cog-nix``; map our errors to a message and an exit code. Bugs keep their traceback."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C is no traceback before the next line either
    from cog_nix.cli import interrupts  # the entry point stays importable

    interrupts.watch()
    from cog_nix.cli import fast_path, streams  # not before there is an answer to Ctrl-C

    streams.ensure_open()
    if sys.argv[1:2] == ["run"]:
        from cog_nix.cli import fast_run  # for this command alone

        status, key = fast_run.run(sys.argv[1:])
    else:
        status, key = fast_path.answer(sys.argv[1:])
    from cog_nix.system import scratch  # as above, and Nix should have started before

    scratch.sweep()
    if status is not None:
        leave(status)
    from cog_nix.cli.app import INTERRUPTED, run  # typer takes longer than the fast path

    interrupts.finish(lambda: run(sys.argv[1:], fast_path_key=key), INTERRUPTED)
