"""Runs blocking work in a few threads that a failure or Ctrl-C can leave behind."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from cog_nix.fetch.retry import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_PATIENCE = 2.0
"""Seconds that threads get to end after a cancellation."""


def run_all(tasks: Sequence[Callable[[], T]], workers: int, cancelled: threading.Event) -> list[T]:
    """Run the tasks, at most ``workers`` at a time, and return their results in order.

    The threads are daemons: a read that hangs keeps neither Ctrl-C nor the end of the process waiting. Work
    that is abandoned this way must be safe to kill at any point.

    Raises:
        BaseException: the first that a task raised, or KeyboardInterrupt; ``cancelled`` is set then.
    """
    crew = _Crew(deque(enumerate(tasks)), cancelled)
    threads = [threading.Thread(target=crew.work, daemon=True) for _ in range(min(workers, len(tasks)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not crew.failures:
                thread.join(0.2)
    finally:
        if len(crew.results) < len(tasks):
            cancelled.set()
            for thread in threads:
                if thread.is_alive():  # Ctrl-C may come before all were started
                    thread.join(_PATIENCE / len(threads))
    if crew.failures:
        raise crew.failures[0]
    return [crew.results[number] for number in range(len(tasks))]


@dataclass
class _Crew(Generic[T]):
    """What the threads share; each operation on it is atomic."""

    waiting: deque[tuple[int, Callable[[], T]]]
    cancelled: threading.Event
    results: dict[int, T] = field(default_factory=dict)
    failures: list[BaseException] = field(default_factory=list)

    def work(self) -> None:
        """Take tasks until none is left or the work is given up."""
        while not self.cancelled.is_set():
            try:
                number, task = self.waiting.popleft()
            except IndexError:
                return
            try:
                self.results[number] = task()
            except Cancelled:
                return
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                self.failures.append(error)
                self.cancelled.set()
