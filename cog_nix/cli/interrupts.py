"""What SIGINT, SIGTERM and SIGHUP do: one line, everything put in order, and an end by that same signal.

While modules are imported nothing is there to be put in order but what :mod:`atexit` knows of, and an
exception would come out of the middle of somebody's import: the process ends in the handler. While a command
is at work, the handler raises :class:`KeyboardInterrupt`, and what the command began is undone on the way
out. The process then ends by the signal, so that whoever started it learns how (128 + its number in shells).
"""

# There is no answer to Ctrl-C before this module is imported, so it imports what Python has at its start:
# ruff: noqa: SIM105

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # as in cog_nix.cli
import atexit
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

_NAMES = {signal.SIGINT: "", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
_PATIENCE_SECONDS = 3
"""So long a further signal does not disturb the putting in order; service managers send several."""


class _State:
    """How far this process is."""

    working = False
    caught = 0
    """The signal that ends it; 0: none."""
    ending_since: float | None = None


def watch() -> None:
    """Answer signals from now on, except those that this process was started to ignore (nohup(1))."""
    for number in _NAMES:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handle)
    atexit.register(_ignore)  # as the first, so it is the last that is done


def begin() -> None:
    """Interrupt by exceptions from now on: there is work that puts itself in order."""
    _State.working = True
    sys.unraisablehook = _unraisable


def interrupt(number: int) -> NoReturn:
    """Interrupt the work as a signal does.

    Raises:
        KeyboardInterrupt: always.
    """
    _State.caught = number
    _State.ending_since = time.monotonic()
    raise KeyboardInterrupt


def resume() -> int:
    """Go on after an interruption, as its exception is caught; return the signal's number."""
    number, _State.caught, _State.ending_since = _State.caught, 0, None
    return number or signal.SIGINT


def finish(status: int, interrupted: int) -> NoReturn:
    """Leave, when all is done.

    Args:
        status: of the command.
        interrupted: the status of a command that a signal interrupted.
    """
    _State.ending_since = _State.ending_since or time.monotonic()
    if status == interrupted and _State.caught:
        atexit._run_exitfuncs()  # noqa: SLF001 - what Python runs at its end; a signal is another end
        _die(_State.caught)
    sys.exit(status)


def said() -> str:
    """Return what there is to say about an interruption."""
    name = _NAMES.get(_State.caught, "")
    return f"interrupted{f' by {name}' if name else ''}; run the same command again to carry on"


def _handle(number: int, _frame: FrameType | None) -> None:
    if _State.ending_since is not None:
        if time.monotonic() - _State.ending_since > _PATIENCE_SECONDS:
            _die(number)
        return
    if _State.working:
        interrupt(number)
    _State.caught = number
    _State.ending_since = time.monotonic()
    _tell()
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    _die(number)


def _ignore() -> None:
    """Let a signal not spoil an end that is there: Python takes itself apart without handlers."""
    for number in _NAMES:
        if signal.getsignal(number) == _handle:
            signal.signal(number, signal.SIG_IGN)


def _unraisable(problem: sys.UnraisableHookArgs, /) -> None:
    """Interrupt again where an interruption came in code whose exceptions lead nowhere (``__del__``)."""
    if problem.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(problem)
        return
    _State.ending_since = None
    import _thread  # noqa: PLC0415 - as good as never

    _thread.interrupt_main(_State.caught)  # type: ignore[arg-type] # any number will do


def _tell() -> None:
    try:
        os.write(2, f"{said()}\n".encode())
    except OSError:
        pass  # the terminal is gone, which is what SIGHUP says


def _die(number: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # as above; or it was closed
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # it is blocked: who started this process wanted that
