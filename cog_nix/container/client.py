"""Stands for a program that runs in the container: hands over arguments, environment and open files.

Standard library alone, and little of it, since it is started for each program::

    python3 -I -S -B client.py FOLDER PROGRAM [ARGUMENT]…

Signals are handed on; when this process ends for any reason, the program in the container is ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys

_PROGRAM = b"p"
_LENGTH = 4
_NOT_HANDED_ON = ("PATH", "HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def connect(folder: str) -> socket.socket:
    """Connect to the server of a folder, whose path may be longer than a socket's address (unix(7)).

    Raises:
        OSError: nothing listens.
    """
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(f"/proc/self/fd/{descriptor}/socket")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(descriptor)
    return connection


def _read_status(connection: socket.socket) -> int:
    data = b""
    while len(data) < _LENGTH:
        part = connection.recv(_LENGTH - len(data))
        if not part:
            sys.stderr.write("cog-nix: the container that runs Nix has ended\n")
            return 1
        data += part
    return int.from_bytes(data, "big", signed=True)


def _hand_on(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):
        connection.send(bytes([number]))


def main() -> int:
    """Run the program; return its exit status, or end as it ended."""
    folder, *command = sys.argv[1:]
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_HANDED_ON}
    request = json.dumps({"command": command, "folder": os.getcwd(), "environment": environment}).encode()  # noqa: PTH109 - pathlib would take as long as all the rest
    try:
        connection = connect(folder)
    except OSError as error:
        sys.stderr.write(f"cog-nix: the container that runs Nix does not answer: {error.strerror}\n")
        return 1
    with contextlib.suppress(BrokenPipeError):  # its end is told below
        socket.send_fds(connection, [_PROGRAM], [0, 1, 2])
        connection.sendall(len(request).to_bytes(_LENGTH, "big") + request)
    for number in _SIGNALS:  # not before: a byte in the middle of the request would be none
        signal.signal(number, lambda number, _frame: _hand_on(connection, number))
    status = _read_status(connection)
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main())
