"""Who may ask a model next: as many at once as it can take, the others in the order in which they came."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator


class Turns:
    """The places of a model.

    Args:
        number: how many predictions it can make at once.
        changed: what is notified whenever somebody may go on.
    """

    def __init__(self, number: int, changed: threading.Condition) -> None:
        self._free, self._changed = number, changed
        self._waiting: deque[object] = deque()

    @contextmanager
    def one(self, given_up: Callable[[], bool]) -> Iterator[bool]:
        """Wait for a place and hold it; yields False when :paramref:`given_up` came true before that.

        Args:
            given_up: whether nobody waits any more.
        """
        me = object()
        with self._changed:
            self._waiting.append(me)
            self._changed.wait_for(lambda: given_up() or (self._free and self._waiting[0] is me))
            self._waiting.remove(me)
            mine = not given_up()
            self._free -= mine
            self._changed.notify_all()
        try:
            yield mine
        finally:
            with self._changed:
                self._free += mine
                self._changed.notify_all()
