"""Removes a container when the process that started it is killed.

Standard library alone; a process of its own, which is told how its owner ended by a pipe::

    python3 -I -S -B watcher.py SOCKET CONTAINER < PIPE

A byte says that the owner has removed the container itself. The end of the pipe without one says that the
owner was killed, maybe while the daemon was still making the container. It is in a session of its own, so
neither the terminal's signals nor one to the owner's group end it.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress

SECONDS = 20.0
"""So long a container may take to come up that its owner asked for at its end."""
_POLL_SECONDS = 0.2
_TIMEOUT_SECONDS = 60
_REMOVED = b"204"


def remove(path: str, name: str) -> bool:
    """Ask the daemon at a socket to remove a container; return whether it did."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT_SECONDS)
        connection.connect(path)
        request = (
            f"DELETE /containers/{name}?force=1&v=1 HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(request.encode())
        status = connection.recv(1 << 12).split(b" ")[1:2]
    return status == [_REMOVED]


def main() -> None:
    """Wait for the owner's end, and act on it."""
    path, name = sys.argv[1:]
    if os.read(0, 1):
        return
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            if remove(path, name):
                return
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    main()
