"""Undoing what was started exactly once, however this process ends short of SIGKILL."""

from __future__ import annotations

import atexit
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Cleanup:
    """Runs an action once: when asked to, on SIGTERM or SIGHUP, or when Python ends.

    The two signals would end Python without unwinding; until the action has run they raise
    :class:`SystemExit` instead, as SIGINT raises :class:`KeyboardInterrupt`.

    Args:
        action: what to do.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._done = False
        self._previous: dict[signal.Signals, Any] = {}
        if _in_main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) == signal.SIG_DFL:
                    self._previous[number] = signal.signal(number, _exit_on_signal)
        atexit.register(self.run)

    def run(self) -> None:
        """Run the action unless it has been run; a second Ctrl-C does not interrupt it."""
        if self._done:
            return
        self._done = True
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN) if _in_main_thread() else None
        try:
            self._action()
        finally:
            if interrupt is not None:
                signal.signal(signal.SIGINT, interrupt)
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            atexit.unregister(self.run)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
