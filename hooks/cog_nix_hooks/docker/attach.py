"""A container's streams, connected before it starts so that nothing it writes is lost.

Docker answers ``POST /containers/NAME/attach`` with a raw connection (Docker Engine API, "ContainerAttach").
With a terminal it carries bytes as they are; without, output comes in frames of an 8-byte header (stream
number, three zeros, length as big-endian 32 bits) and a body. What is sent into it is the container's stdin.
"""

from __future__ import annotations

import os
import re
import select
import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import docker

    from cog_nix.spec import Streams

_HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_CHUNK = 1 << 16
_PODMAN_LOST_INPUT = re.compile(rb"Error: read unixpacket \S+/attach: read: connection reset by peer\n")
"""What Podman says on the container's stderr when that ended without reading all its input."""


class Attachment:
    """An open connection to a container's streams.

    Args:
        client: the daemon.
        name: a container that has been created and not yet started.
        stdin: whether it reads.
        tty: whether it has a terminal.
    """

    def __init__(self, client: docker.APIClient, name: str, *, stdin: bool, tty: bool) -> None:
        wanted = {"stream": 1, "stdout": 1, "stderr": 1, "stdin": int(stdin)}
        self._holder = client.attach_socket(name, params=wanted)
        self._socket: Any = getattr(self._holder, "_sock", self._holder)
        self._socket.settimeout(None)  # the SDK's is a minute; a model may be silent for longer
        self._tty = tty

    def copy(self, streams: Streams) -> None:
        """Copy in both directions until the container's end closes."""
        awake, wake = os.pipe()
        sender = None
        if streams.stdin is not None:
            sender = threading.Thread(
                target=self._send, args=(streams.stdin, awake), daemon=True, name="stdin"
            )
            sender.start()
        try:
            self._receive(streams)
        finally:
            os.close(wake)  # ends the wait for input that nobody reads any more
            with suppress(OSError):  # and this the sending of it, where it is stuck
                self._socket.shutdown(socket.SHUT_RDWR)
            if sender:
                sender.join()
            os.close(awake)

    def close(self) -> None:
        """Close the connection; the container goes on."""
        with suppress(OSError):
            self._holder.close()
            self._socket.close()
        response = getattr(self._holder, "_response", None)
        if response is not None:
            with suppress(ValueError):  # urllib3 flushes what has just been closed
                response.close()

    def _send(self, stdin: int, awake: int) -> None:
        with suppress(OSError):  # the container ended without reading everything
            while awake not in (ready := select.select([stdin, awake], [], [])[0]) and ready:
                data = os.read(stdin, _CHUNK)
                if not data:
                    self._socket.shutdown(socket.SHUT_WR)
                    return
                self._socket.sendall(data)

    def _receive(self, streams: Streams) -> None:
        if self._tty:
            while data := self._receive_some(_CHUNK):
                _write(streams.stdout, data)
            return
        while header := self._exactly(_HEADER.size):
            number, length = _HEADER.unpack(header)
            body = self._exactly(length)
            if number != _STDERR:
                _write(streams.stdout, body)
            elif not _PODMAN_LOST_INPUT.fullmatch(body):
                _write(streams.stderr, body)

    def _receive_some(self, most: int) -> bytes:
        try:
            data: bytes = self._socket.recv(most)
        except ConnectionResetError:  # Podman, when the container has not read all its input
            return b""
        return data

    def _exactly(self, length: int) -> bytes:
        """Return this many bytes, or none when the stream ends before."""
        data = b""
        while len(data) < length:
            part = self._receive_some(length - len(data))
            if not part:
                return b""
            data += part
        return data


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
