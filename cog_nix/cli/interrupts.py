"""What SIGINT, SIGTERM and SIGHUP do: one line, everything put in order, and an end by that same signal.

While modules are imported nothing is there to be put in order but what :mod:`atexit` knows of, and an
exception would come out of the middle of somebody's import: the process ends in the handler. While a command
is at work, the handler raises :class:`KeyboardInterrupt`, and what the command began is undone on the way
out: not in the middle of what makes or undoes something, which it lets come to its end. The process then ends
by the signal, so that whoever started it learns how (128 + its number in shells).

Whatever else is raised from then on is a consequence, and nobody's to read.
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
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn

_NAMES = {signal.SIGINT: "", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
_PATIENCE_SECONDS = 3
"""So long a further signal does not disturb the putting in order; service managers send several."""
_UNINTERRUPTED = frozenset({"__init__", "__enter__", "__exit__", "__del__"})
"""Names of functions that are not interrupted: what they make would have no owner, or stay half undone.
Those of :mod:`contextlib` count for all that is written as generators."""
_IMPORT = "<frozen importlib._bootstrap>"
"""File of the frames of an import, which is not interrupted either: a module would be half there."""
_RETRY_SECONDS = 0.005
_UNINTERRUPTED_SECONDS = 1
"""So long it waits for these: some run a program of somebody else before they are done."""
_REMINDER_SECONDS = 0.1


class _State:
    """How far this process is."""

    working = False
    caught = 0
    """The signal that ends it; 0: none."""
    reported = False
    ending_since: float | None = None
    noted_since: float | None = None
    """When the signal came, while it waits for what is being made or undone."""
    answered = 0
    """How often the handler ran."""


def watch() -> None:
    """Answer signals from now on, except those that this process was started to ignore (nohup(1))."""
    for number in _NAMES:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handle)
    atexit.register(_ignore)  # as the first, so it is the last that is done


def answer_interrupt() -> None:
    """Answer SIGINT even if it was ignored, as shells start what stands before a ``&``; scripts send it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, _handle)


def begin() -> None:
    """Interrupt by exceptions from now on: there is work that puts itself in order."""
    import threading

    sys.unraisablehook = _unraisable
    threading.excepthook = lambda args: None if interrupted() else threading.__excepthook__(args)
    _State.working = True
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    main = threading.get_ident()
    threading.Thread(target=_remind, args=(reading, main), name="signals", daemon=True).start()


def ignore_from_now_on() -> None:
    """Ignore signals from now on: there is an end already."""
    _State.ending_since = _State.ending_since or time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0)


def interrupted() -> bool:
    """Whether a signal has ended the work, so that whatever is raised may be a consequence."""
    return _State.caught != 0


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
    number, _State.caught = _State.caught, 0
    _State.ending_since = _State.noted_since = None
    return number or signal.SIGINT


def finish(work: Callable[[], int], cut_off: int) -> NoReturn:
    """Do the work of this process, and leave.

    Args:
        work: does it; returns the exit status.
        cut_off: the status of work that a signal interrupted.
    """
    try:
        begin()
        status = work()
        ignore_from_now_on()
    except BaseException:
        ignore_from_now_on()
        if not interrupted():
            raise
        report()
        status = cut_off
    if status == cut_off and interrupted():
        atexit._run_exitfuncs()  # noqa: SLF001 - what Python runs at its end; a signal is another end
        _die(_State.caught)
    sys.exit(status)


def report(say: Callable[[str], object] | None = None) -> None:
    """Say, once, that there was an interruption.

    Args:
        say: writes a line; None: to stderr.
    """
    if _State.reported:
        return
    _State.reported = True
    name = _NAMES.get(_State.caught, "")
    line = f"interrupted{f' by {name}' if name else ''}; run the same command again to carry on"
    if say:
        say(line)
        return
    try:
        os.write(2, f"{line}\n".encode())
    except OSError:
        pass  # the terminal is gone, which is what SIGHUP says


def _remind(reading: int, main: int) -> None:
    """Send a signal to the main thread once more if its handler does not run.

    Python only notes a signal, and calls the handler between two instructions of the main thread. Where that
    thread just begins to wait for a lock, or the kernel gives the signal to another thread, that is when the
    wait is over.

    Args:
        reading: where Python writes the number of each signal (``signal.set_wakeup_fd``).
        main: the main thread.
    """
    answered = 0
    while data := os.read(reading, 1):
        time.sleep(_REMINDER_SECONDS)
        if _State.answered == answered and signal.getsignal(data[0]) in (_handle, _handle_again):
            signal.pthread_kill(main, data[0])
        answered = _State.answered


def _handle(number: int, frame: FrameType | None) -> None:
    _State.answered += 1
    if _State.ending_since is not None:
        if time.monotonic() - _State.ending_since > _PATIENCE_SECONDS:
            _die(number)
        return
    if _State.working:
        _State.noted_since = _State.noted_since or time.monotonic()
        if _is_uninterrupted(frame) and time.monotonic() - _State.noted_since < _UNINTERRUPTED_SECONDS:
            _State.caught = number  # whatever fails until then may be a consequence already
            signal.signal(signal.SIGALRM, _handle_again)
            signal.setitimer(signal.ITIMER_REAL, _RETRY_SECONDS)
            return
        interrupt(number)
    _State.caught = number
    _State.ending_since = time.monotonic()
    report()
    # What is just being imported cannot be used, and threads may lose what they work on: nobody's to read.
    sys.unraisablehook = lambda _: None
    if "threading" in sys.modules:
        sys.modules["threading"].excepthook = sys.unraisablehook  # type: ignore[attr-defined]
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    _die(number)


def _handle_again(_: int, frame: FrameType | None) -> None:
    _handle(_State.caught, frame)


def _is_uninterrupted(frame: FrameType | None) -> bool:
    """Whether the code that runs is part of something that is made or undone as a whole."""
    while frame is not None:
        if frame.f_code.co_name in _UNINTERRUPTED or frame.f_code.co_filename == _IMPORT:
            return True
        frame = frame.f_back
    return False


def _ignore() -> None:
    """Let a signal not spoil an end that is there: Python takes itself apart without handlers."""
    for number in _NAMES:
        if signal.getsignal(number) == _handle:
            signal.signal(number, signal.SIG_IGN)


def _unraisable(problem: sys.UnraisableHookArgs, /) -> None:
    """Interrupt again where an interruption came in code whose exceptions lead nowhere (``__del__``)."""
    if problem.exc_type is not KeyboardInterrupt:
        if not interrupted():
            sys.__unraisablehook__(problem)
        return
    _State.ending_since = None
    import _thread

    _thread.interrupt_main(_State.caught)  # type: ignore[arg-type] # any number will do


def _die(number: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError, RuntimeError):
            pass  # as above; or it was closed, or is just being written to
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # it is blocked: who started this process wanted that
