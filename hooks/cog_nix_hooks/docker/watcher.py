"""Removes a container when the process that started it is killed.

Standard library alone; a process of its own, which is told how its owner ended by a pipe::

    python3 -I -S -B watcher.py SOCKET CONTAINER < PIPE

The last byte that came through the pipe when it ends says how far the owner was. It is in a session of its
own, so neither the terminal's signals nor one to the owner's group end it.
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress

MAKING, MADE, REMOVED = b"m", b"c", b"r"
"""The daemon is asked for the container; it is there; the owner has removed it."""
_SECONDS = 20.0
"""So long a daemon may take to make a container that an owner asked for at its end."""
_POLL_SECONDS = 0.2
_TIMEOUT_SECONDS = 60
_DONE, _UNKNOWN = b"204", b"404"


def remove(path: str, name: str) -> bytes:
    """Ask the daemon at a socket to remove a container; return the status of its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT_SECONDS)
        connection.connect(path)
        request = (
            f"DELETE /containers/{name}?force=1&v=1 HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(request.encode())
        return [*connection.recv(1 << 12).split(b" "), b""][1]


def main() -> None:
    """Wait for the owner's end, and act on it."""
    path, name = sys.argv[1:]
    last = sys.stdin.buffer.read()[-1:]
    if last not in {MAKING, MADE}:
        return
    gone = {_DONE} if last == MAKING else {_DONE, _UNKNOWN}
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            if remove(path, name) in gone:
                return
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    main()
