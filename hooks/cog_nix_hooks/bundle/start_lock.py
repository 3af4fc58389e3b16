"""Models start one after the other, as two that start at the same moment get in each other's way.

Cog's server and its worker meet at an abstract Unix socket named after the server's process number
(``@coglet-2-0``). The number is the same in each container, and the names belong to the network
(network_namespaces(7)), which containers of this runtime share with the machine. Once the two have met, the
name is free again. A name of the same kind is the lock: it is as far-reaching as what it guards,
and is gone with the process that holds it.
"""

from __future__ import annotations

import socket
import threading
import time

_NAME = "\0cog-nix-starts-a-model"
_MEETING_SECONDS = 3.0
"""So long server and worker take to meet, and longer: each is a Python that starts."""
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.02


class StartLock:
    """Held while a model starts, for as long as its server needs it; anybody's again after that.

    Args:
        patience: seconds to wait for it; a model is started then all the same.
        lasts: seconds that it is kept.
    """

    def __init__(self, patience: float = _PATIENCE_SECONDS, lasts: float = _MEETING_SECONDS) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + patience
        while not self._taken() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._timer = threading.Timer(lasts, self._socket.close)
        self._timer.daemon = True
        self._timer.start()

    def _taken(self) -> bool:
        try:
            self._socket.bind(_NAME)
        except OSError:
            return False
        return True

    def end(self) -> None:
        """Let the next one start."""
        self._timer.cancel()
        self._socket.close()
