"""Runs blocking work in a few threads that a failure or Ctrl-C can leave behind."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from cog_nix.fetch.retry import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_PATIENCE = 2.0
"""Seconds that threads get to end after a cancellation."""


def run_all(tasks: Sequence[Callable[[], T]], workers: int, cancelled: threading.Event) -> list[T]:
    """Run the tasks, at most ``workers`` at a time, and return their results in order.

    Raises:
        BaseException: the first that a task raised, or KeyboardInterrupt; ``cancelled`` is set then.
    """
    crew: Crew[T] = Crew(workers, cancelled)
    try:
        for task in tasks:
            crew.add(task)
    except BaseException:
        crew.give_up()
        raise
    return crew.wait()


class Crew(Generic[T]):
    """Threads that do tasks as they come; :meth:`wait` or :meth:`give_up` has to end it.

    The threads are daemons: a read that hangs keeps neither Ctrl-C nor the end of the process waiting. Work
    that is abandoned this way must be safe to kill at any point.

    Args:
        workers: how many tasks are done at a time.
        cancelled: ends the work when set; is set by the first task that fails.
    """

    def __init__(self, workers: int, cancelled: threading.Event) -> None:
        self._workers, self._cancelled = workers, cancelled
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._waiting: deque[tuple[int, Callable[[], T]]] = deque()
        self._added = 0
        self._results: dict[int, T] = {}
        self._failures: list[BaseException] = []

    def add(self, task: Callable[[], T]) -> None:
        """Have a task done after those before it.

        Raises:
            BaseException: the first that a task raised.
        """
        self._raise_failure()
        with self._lock:
            self._waiting.append((self._added, task))
            self._added += 1
            if len(self._threads) < self._workers:
                thread = threading.Thread(target=self._work, daemon=True)
                thread.start()
                self._threads.append(thread)

    def wait(self) -> list[T]:
        """Return the results of all tasks, in order.

        Raises:
            BaseException: the first that a task raised, or KeyboardInterrupt.
        """
        try:
            while (threads := self._threads[:]) and not self._failures:
                threads[0].join(0.2)
        finally:
            if len(self._results) < self._added:
                self.give_up()
        self._raise_failure()
        return [self._results[number] for number in range(self._added)]

    def give_up(self) -> None:
        """Begin nothing more, and let the threads end."""
        self._cancelled.set()
        threads = self._threads[:]
        for thread in threads:
            thread.join(_PATIENCE / len(threads))

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures[0]

    def _work(self) -> None:
        """Take tasks until none is left or the work is given up."""
        while taken := self._next():
            number, task = taken
            try:
                self._results[number] = task()
            except Cancelled:
                pass
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                self._failures.append(error)
                self._cancelled.set()

    def _next(self) -> tuple[int, Callable[[], T]] | None:
        with self._lock:
            if self._waiting and not self._cancelled.is_set():
                return self._waiting.popleft()
            self._threads.remove(threading.current_thread())
            return None
