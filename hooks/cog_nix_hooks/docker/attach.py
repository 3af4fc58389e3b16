"""A container's streams, connected before it starts so that nothing it writes is lost.

Docker answers ``POST /containers/NAME/attach`` with a raw connection (Docker Engine API, "ContainerAttach").
With a terminal it carries bytes as they are; without, output comes in frames of an 8-byte header (stream
number, three zeros, length as big-endian 32 bits) and a body. What is sent into it is the container's stdin.

Frames are read here: the SDK's reader polls before it reads, and so keeps back what TLS has already decrypted
until more comes.
"""

from __future__ import annotations

import re
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cog_nix.runtime.copying import CHUNK, Sender, write_all

if TYPE_CHECKING:
    from collections.abc import Callable

    import docker

    from cog_nix.plugins.spec import Streams

_HEADER = struct.Struct(">BxxxL")
_STDERR = 2
_PODMAN_LOST_INPUT = re.compile(
    rb"Error: (read|write) unixpacket \S+/attach: \1: (connection reset by peer|broken pipe)\n"
)
"""What Podman says on the container's stderr when that ended without reading all its input."""


class Attachment:
    """An open connection to a container's streams."""

    def __init__(self, client: docker.APIClient, name: str, *, stdin: bool, tty: bool) -> None:
        wanted = {"stream": 1, "stdout": 1, "stderr": 1, "stdin": int(stdin)}
        self._holder = client.attach_socket(name, params=wanted)
        self._socket: Any = getattr(self._holder, "_sock", self._holder)
        self._socket.settimeout(None)  # the SDK's is a minute; a model may be silent for longer
        self._tty = tty
        self.copied = {"stdout": 0, "stderr": 0}
        """Bytes that came out of each stream."""
        self.torn = False
        """Whether the connection was cut before the container's end, so that some output may be missing."""

    def copy(self, streams: Streams) -> None:
        """Copy in both directions until the container's end closes."""
        sender = None
        if streams.stdin is not None:
            sender = Sender(streams.stdin, self._socket.sendall, self._end)
        try:
            self._receive(streams)
        except ConnectionResetError:  # Podman, when the container has not read all its input
            self.torn = True
        finally:
            with suppress(OSError):  # ends the sending of input that nobody reads any more, where it is stuck
                self._socket.shutdown(socket.SHUT_RDWR)
            if sender:
                sender.stop()

    def complete(self, streams: Streams, logged: Callable[[str], bytes]) -> None:
        """Hand on what a torn connection did not bring.

        Args:
            streams: where output goes.
            logged: returns all that the container wrote to ``stdout`` or ``stderr``.
        """
        for name, size in [*self.copied.items()]:
            if missing := logged(name)[size:]:
                self._hand_on(streams, name, missing)

    def close(self) -> None:
        """Close the connection; the container goes on."""
        with suppress(OSError):
            self._holder.close()
            self._socket.close()
        response = getattr(self._holder, "_response", None)
        if response is not None:
            with suppress(ValueError):  # urllib3 flushes what has just been closed
                response.close()

    def _end(self) -> None:
        if not self._tty:  # a terminal has no end, and Docker would take this for output's too
            self._socket.shutdown(socket.SHUT_WR)

    def _receive(self, streams: Streams) -> None:
        if self._tty:
            while data := self._socket.recv(CHUNK):
                self._hand_on(streams, "stdout", data)
            return
        while header := self._exactly(_HEADER.size):
            number, length = _HEADER.unpack(header)
            body = self._exactly(length)
            if number != _STDERR:
                self._hand_on(streams, "stdout", body)
            elif _PODMAN_LOST_INPUT.fullmatch(body):
                self.torn = True
            else:
                self._hand_on(streams, "stderr", body)

    def _hand_on(self, streams: Streams, name: str, data: bytes) -> None:
        write_all(getattr(streams, name), data)
        self.copied[name] += len(data)

    def _exactly(self, length: int) -> bytes:
        """Return this many bytes, or none when the stream ends before."""
        data = b""
        while len(data) < length:
            part = self._socket.recv(min(length - len(data), CHUNK))
            if not part:
                return b""
            data += part
        return data
