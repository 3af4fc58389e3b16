"""Webhooks of asynchronous predictions, handed on to the page that waits for them as server-sent events."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WAITING = 4
"""Deliveries that a page may be behind with; more than that are dropped for it, as in Cog's."""


class Hub:
    """Who waits for which deliveries, by a token that only the page and the model know."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[queue.Queue[bytes]]] = defaultdict(list)

    @contextmanager
    def subscribed(self, token: str) -> Iterator[queue.Queue[bytes]]:
        """Wait for deliveries; yields where they arrive."""
        own: queue.Queue[bytes] = queue.Queue(_WAITING)
        with self._lock:
            self._waiting[token].append(own)
        try:
            yield own
        finally:
            with self._lock:
                self._waiting[token].remove(own)
                if not self._waiting[token]:
                    del self._waiting[token]

    def has_listeners(self, token: str) -> bool:
        """Whether somebody waits for a token's deliveries."""
        with self._lock:
            return token in self._waiting

    def publish(self, token: str, body: bytes) -> bool:
        """Hand a delivery to all who wait for it; False: nobody took it."""
        taken = False
        with self._lock:
            for one in self._waiting.get(token, ()):
                try:
                    one.put_nowait(body)
                except queue.Full:
                    continue
                taken = True
        return taken


def as_event(body: bytes) -> bytes:
    """Return a delivery as one event (HTML, "Server-sent events"); no line of it can begin another field."""
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"".join(b"data: %s\n" % line for line in lines) + b"\n"
