"""Hands bytes on between descriptors, for runtimes that connect a container's streams."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 16


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it; a descriptor may take less at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Sender:
    """Hands on what comes from a descriptor, in a thread, until that ends or :meth:`stop` is called.

    Args:
        source: the descriptor.
        send: takes some bytes; an OSError means that nobody reads them any more.
        end: called when the source has ended.
    """

    def __init__(self, source: int, send: Callable[[bytes], object], end: Callable[[], object]) -> None:
        self._awake, self._wake = os.pipe()
        arguments = (source, send, end)
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True, name="stdin")
        self._thread.start()

    def stop(self, patience: float | None = None) -> None:
        """End the wait for more, then wait for the thread.

        Args:
            patience: seconds; None: until it ends.
        """
        os.close(self._wake)
        self._thread.join(patience)
        if not self._thread.is_alive():
            os.close(self._awake)

    def _run(self, source: int, send: Callable[[bytes], object], end: Callable[[], object]) -> None:
        with suppress(OSError):  # the container ended without reading everything
            while self._awake not in (ready := select.select([source, self._awake], [], [])[0]) and ready:
                if data := os.read(source, CHUNK):
                    send(data)
                else:
                    end()
                    return
