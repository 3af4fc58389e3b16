"""The calls of Docker's HTTP API that a build waits for: images are looked up, loaded, named and removed.

Asking for one through the SDK takes 0.2 s more, its import. So a daemon at a Unix socket, which one behind
SSH is as well (:mod:`cog_nix_hooks.docker.ssh`), is spoken to with ``http.client``; any other through the
SDK's session. Everything else is the SDK's (:mod:`cog_nix_hooks.docker.sdk`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from cog_nix.image.pieces import FileRange, Piece
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import mapping_of
from cog_nix_hooks.docker.failures import DaemonError, NotDockerError, UnreachableError

if TYPE_CHECKING:
    from cog_nix_hooks.docker.endpoint import Endpoint

Body = bytes | Iterable[Piece] | None
Transport = Callable[[str, str, Body, Mapping[str, str]], tuple[int, bytes]]
"""Sends method, path, body and headers; returns status and body of the answer, or raises OSError."""
_ARCHIVE = {"Content-Type": "application/x-tar"}
_CHUNKED = {"Transfer-Encoding": "chunked"}
_NOT_FOUND = 404
_FIRST_ERROR = 400


class Engine:
    """A Docker daemon.

    Args:
        endpoint: where it is.

    Raises:
        DaemonError: from each method: it answers with an error.
        RuntimeFailure: as well: it cannot be reached.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client: Any = None
        self._path = endpoint.local_socket() or ""
        self._pending: tuple[str, HTTPConnection] | None = None
        if self._path:
            self._send: Transport = self._send_to_socket
        else:
            from cog_nix_hooks.docker.sdk import sdk_client, sdk_transport  # noqa: PLC0415 - see above

            self._client = sdk_client(endpoint)
            self._send = sdk_transport(self._client)

    @property
    def host(self) -> str:
        """Its address, as ``DOCKER_HOST`` has it."""
        return self._endpoint.host

    @property
    def local(self) -> bool:
        """Whether it listens at a socket of this machine; then requests may be made from several threads."""
        return self._client is None

    def close(self) -> None:
        """Close what is open; the daemon sees that nothing more comes."""
        if self._pending:
            self._pending[1].close()
            self._pending = None
        if self._client:
            self._client.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the JSON answer of a GET, or None when there is no such thing."""
        body = self._call("GET", _target(path, query), missing_ok=True)
        try:
            return None if body is None else jsonvalue.loads(body)
        except ValueError as error:
            raise NotDockerError(path, error) from error

    def begin(self, path: str, query: Mapping[str, str], first: bytes) -> None:
        """Begin a POST whose body is still being made: the next :meth:`post` there goes on with it.

        A daemon elsewhere is not asked: other requests may share the connection.
        """
        if self._endpoint.socket_path and self._pending is None:
            target = _target(path, query)
            try:
                connection = self._connect()
                connection.request("POST", target, headers={**_ARCHIVE, **_CHUNKED})
                connection.sock.sendall(b"%x\r\n%b\r\n" % (len(first), first))
            except (OSError, HTTPException) as error:
                raise UnreachableError(self._endpoint, error) from error
            self._pending = target, connection

    def post(
        self, path: str, query: Mapping[str, str] | None = None, body: Body = None
    ) -> list[dict[str, Any]]:
        """Send a POST and return the messages that come back; one of them may be an error as well."""
        answer = self._call("POST", _target(path, query), body) or b""
        try:
            messages = [mapping_of(jsonvalue.loads(line)) for line in answer.splitlines() if line.strip()]
        except (ValueError, TypeError) as error:
            raise NotDockerError(path, error) from error
        for message in messages:
            if "errorDetail" in message or "error" in message:
                detail = message.get("errorDetail")
                said = detail.get("message") if isinstance(detail, dict) else ""
                raise DaemonError(str(said or message.get("error")))
        return messages

    def delete(self, path: str) -> None:
        """Send a DELETE; what is not there is as good as deleted."""
        self._call("DELETE", _target(path), missing_ok=True)

    def ping(self) -> None:
        """Ask whether the daemon answers at all.

        Podman runs other programs to tell its version, for more than a second; this is 1 ms.
        """
        self._call("GET", "/_ping")

    def _call(self, method: str, target: str, body: Body = None, *, missing_ok: bool = False) -> bytes | None:
        try:
            status, answer = self._send(method, target, body, {} if body is None else _ARCHIVE)
        except (OSError, HTTPException) as error:
            raise UnreachableError(self._endpoint, error) from error
        if missing_ok and status == _NOT_FOUND:
            return None
        if status >= _FIRST_ERROR:
            raise DaemonError.read(status, answer)
        return answer

    def _connect(self) -> HTTPConnection:
        """Return a connection. Each request has its own: that costs nothing here."""
        connection = HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection

    def _send_to_socket(
        self, method: str, target: str, body: Body, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        streamed = not (body is None or isinstance(body, bytes))
        if streamed and self._pending and self._pending[0] == target:
            connection, self._pending, begun = self._pending[1], None, True
        else:
            connection, begun = self._connect(), False
        with closing(connection):
            # The daemon may refuse an archive before it has read all of it; its answer is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                if body is None or isinstance(body, bytes):
                    connection.request(method, target, body, dict(headers))
                else:
                    if not begun:
                        connection.request(method, target, headers={**headers, **_CHUNKED})
                    _send_chunks(connection.sock, body)
            response = connection.getresponse()
            return response.status, response.read()


def _target(path: str, query: Mapping[str, str] | None = None) -> str:
    return quote(path, safe="/:@") + (f"?{urlencode(query)}" if query else "")


def _send_chunks(connection: socket.socket, pieces: Iterable[Piece]) -> None:
    """Send a body in chunks (RFC 9112, section 7.1); http.client would copy each of them twice."""
    for piece in pieces:
        if isinstance(piece, FileRange):
            connection.sendall(b"%x\r\n" % piece.size)
            piece.send(connection.fileno())
            connection.sendall(b"\r\n")
        elif piece:
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    connection.sendall(b"0\r\n\r\n")
