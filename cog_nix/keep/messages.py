"""What a keeper and its clients say to each other: JSON objects, one a line.

A client says what it wants first::

    {"use": IDENTITY or null, "keep": SECONDS}     then, any number of times:
        {"predict": {"inputs": …} or {"flags": …}, "context": …}
        {"openapi": true}
    {"tell": true}                                 what is kept
    {"stop": "now" or "idle"}                      end; "idle": after the predictions that run

and the keeper answers ``told``, ``other`` (it keeps something else), ``yours``, ``ready``, ``prediction``,
``openapi`` or ``failed``; in between come ``log``, ``info`` and ``warn``, lines that are to be shown. Its end
of the connection closes when the container is gone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from socket import socket

_CHUNK = 1 << 16


def send(connection: socket, message: Mapping[str, Any]) -> None:
    """Send a message.

    Raises:
        OSError: nobody reads it any more.
    """
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive(connection: socket) -> Iterator[dict[str, Any]]:
    """Yield messages until the other end closes.

    Raises:
        OSError: the connection breaks.
        ValueError: what comes is no JSON, or is nested too deep.
    """
    rest = bytearray()
    while data := connection.recv(_CHUNK):
        begin = len(rest)
        rest += data
        while (end := rest.find(b"\n", begin)) >= 0:
            line, begin = bytes(rest[:end]), 0
            del rest[: end + 1]
            try:
                message = json.loads(line)  # a model may write halves of surrogate pairs
            except RecursionError as error:
                raise ValueError("it is nested too deep") from error
            if isinstance(message, dict):
                yield message
