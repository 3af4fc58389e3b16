"""The few calls of Docker's HTTP API that a rebuild waits for.

Asking for an image through the SDK takes 0.19 s, nearly all of it import time; over the local socket with
``http.client`` it takes 0.045 s. So a local daemon is spoken to directly, and one behind SSH as well
(:mod:`cog_nix_hooks.docker.ssh`); any other through the SDK's session.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from cog_nix.errors import RuntimeFailure
from cog_nix.image.delta import FileRange, Piece, read
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import mapping_of

if TYPE_CHECKING:
    import docker

    from cog_nix_hooks.docker.endpoint import Endpoint

Body = bytes | Iterable[Piece] | None
_ARCHIVE = {"Content-Type": "application/x-tar"}
_CHUNKED = {**_ARCHIVE, "Transfer-Encoding": "chunked"}
_NOT_FOUND = 404
_FIRST_ERROR = 400


class Refused(RuntimeFailure):
    """The daemon answered with an error."""


Transport = Callable[[str, str, Body, Mapping[str, str]], tuple[int, Iterator[bytes]]]
"""Sends method, path, body and headers; returns status and lines of the answer, or raises OSError."""


class Engine:
    """A Docker daemon.

    Args:
        endpoint: where it is.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        path = _socket(endpoint)
        self._client = None if path else sdk_client(endpoint)
        self._path = path or ""
        self._send: Transport = sdk_transport(self._client) if self._client else socket_transport(self._path)
        self._begun: tuple[str, Begun] | None = None

    @property
    def host(self) -> str:
        """Its address, as ``DOCKER_HOST`` has it."""
        return self._endpoint.host

    @property
    def local(self) -> bool:
        """Whether it listens at a socket of this machine; then requests may be made from several threads."""
        return self._client is None

    def close(self) -> None:
        """Close what is open."""
        if self._begun:
            self._begun[1].close()
            self._begun = None
        if self._client:
            self._client.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the JSON answer of a GET, or None when there is no such thing.

        Raises:
            Refused: the daemon answers with another error.
            RuntimeFailure: the daemon cannot be reached.
        """
        status, lines = self._call("GET", path, query, None)
        body = b"".join(lines)
        if status == _NOT_FOUND:
            return None
        if status >= _FIRST_ERROR:
            raise _refused(body)
        try:
            return jsonvalue.loads(body)
        except ValueError as error:
            raise not_docker(path, error) from error

    def begin(self, path: str, query: Mapping[str, str], first: bytes) -> None:
        """Begin a POST whose body is still being made: the next :meth:`post` there goes on with it.

        A daemon elsewhere is not asked: other requests may share the connection.

        Args:
            path: where to.
            query: with what.
            first: what the body begins with.

        Raises:
            RuntimeFailure: the daemon cannot be reached.
        """
        if self._endpoint.socket_path and self._begun is None:
            target = _target(path, query)
            try:
                self._begun = target, Begun(self._path, target, first)
            except (OSError, HTTPException) as error:
                raise unreachable(self._endpoint, error) from error

    def post(
        self, path: str, query: Mapping[str, str] | None = None, body: Body = None
    ) -> list[dict[str, Any]]:
        """Send a POST and return the messages that come back.

        Raises:
            Refused: the daemon answers with an error, at once or in the middle of its messages.
            RuntimeFailure: the daemon cannot be reached.
        """
        status, lines = self._call("POST", path, query, body)
        if status >= _FIRST_ERROR:
            raise _refused(b"".join(lines))
        try:
            messages = [mapping_of(jsonvalue.loads(line)) for line in lines if line.strip()]
        except (ValueError, TypeError) as error:
            raise not_docker(path, error) from error
        for message in messages:
            if "errorDetail" in message or "error" in message:
                detail = message.get("errorDetail")
                said = detail.get("message") if isinstance(detail, dict) else ""
                raise Refused(f"Docker: {said or message.get('error')}")
        return messages

    def delete(self, path: str) -> None:
        """Send a DELETE; what is not there is as good as deleted.

        Raises:
            Refused: the daemon answers with an error.
            RuntimeFailure: the daemon cannot be reached.
        """
        status, lines = self._call("DELETE", path, None, None)
        if status >= _FIRST_ERROR and status != _NOT_FOUND:
            raise _refused(b"".join(lines))

    def ping(self) -> None:
        """Ask whether the daemon answers at all.

        Podman runs other programs to tell its version, for more than a second; this is 1 ms.

        Raises:
            Refused: it answers with an error.
            RuntimeFailure: it cannot be reached.
        """
        status, lines = self._call("GET", "/_ping", None, None)
        if status >= _FIRST_ERROR:
            raise _refused(b"".join(lines))

    def _call(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Body
    ) -> tuple[int, Iterator[bytes]]:
        headers = _ARCHIVE if body is not None else {}
        target = _target(path, query)
        try:
            if body is not None and not isinstance(body, bytes) and self._begun and self._begun[0] == target:
                begun, self._begun = self._begun[1], None
                return begun.finish(body)
            return self._send(method, target, body, headers)
        except (OSError, HTTPException) as error:
            raise unreachable(self._endpoint, error) from error


def _target(path: str, query: Mapping[str, str] | None) -> str:
    return quote(path, safe="/:@") + (f"?{urlencode(query)}" if query else "")


class Begun:
    """A POST over a Unix socket whose body is still being made.

    Args:
        path: of the socket.
        target: of the request.
        first: what the body begins with.

    Raises:
        OSError: nothing listens there.
    """

    def __init__(self, path: str, target: str, first: bytes) -> None:
        self._connection = HTTPConnection("docker")
        self._connection.sock = self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._connection.request("POST", target, headers=_CHUNKED)
        self._socket.sendall(b"%x\r\n%b\r\n" % (len(first), first))

    def finish(self, rest: Iterable[Piece]) -> tuple[int, Iterator[bytes]]:
        """Send the rest; return status and lines of the answer."""
        with closing(self._connection):
            with suppress(BrokenPipeError, ConnectionResetError):
                _send_chunks(self._socket, rest)
            response = self._connection.getresponse()
            return response.status, iter(response.read().splitlines(keepends=True))

    def close(self) -> None:
        """Let the daemon see that nothing more comes."""
        self._connection.close()


def socket_transport(path: str) -> Transport:
    """Return a transport over a Unix socket. Each request has its own connection: that costs nothing here."""

    def send(method: str, target: str, body: Body, headers: Mapping[str, str]) -> tuple[int, Iterator[bytes]]:
        connection = HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        with closing(connection):
            connection.sock.connect(path)
            # The daemon may refuse an archive before it has read all of it; its answer is there to be read.
            with suppress(BrokenPipeError, ConnectionResetError):
                if body is None or isinstance(body, bytes):
                    connection.request(method, target, body, dict(headers))
                else:
                    connection.request(method, target, headers={**headers, "Transfer-Encoding": "chunked"})
                    _send_chunks(connection.sock, body)
            response = connection.getresponse()
            return response.status, iter(response.read().splitlines(keepends=True))

    return send


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


def sdk_transport(client: docker.APIClient) -> Transport:
    """Return a transport over the SDK, which knows TCP and TLS."""

    def send(method: str, target: str, body: Body, headers: Mapping[str, str]) -> tuple[int, Iterator[bytes]]:
        url = f"{client.base_url}/v{client.api_version}{target}"
        data = body if body is None or isinstance(body, bytes) else read(body)
        response = client.request(method, url, data=data, headers=dict(headers))
        return response.status_code, iter(response.content.splitlines(keepends=True))

    return send


def sdk_client(endpoint: Endpoint) -> docker.APIClient:
    """Return the SDK's client for a daemon.

    Raises:
        RuntimeFailure: the daemon cannot be reached.
    """
    import docker  # noqa: PLC0415 - see the module's docstring

    class Client(docker.APIClient):
        """Heeds the daemon's own certificate authority, where requests would take REQUESTS_CA_BUNDLE."""

        def merge_environment_settings(
            self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
        ) -> Any:
            verify = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, verify, cert)

    from docker.tls import TLSConfig  # noqa: PLC0415

    tls: TLSConfig | bool = False
    if endpoint.tls_dir:
        ca, cert, key = (str(endpoint.tls_dir / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        tls = TLSConfig(client_cert=(cert, key), ca_cert=ca, verify=endpoint.tls_verify)
    path = _socket(endpoint)
    try:
        return Client(base_url=f"unix://{path}" if path else endpoint.host, version="auto", tls=tls)
    except (docker.errors.DockerException, OSError) as error:
        raise unreachable(endpoint, error) from error


def _socket(endpoint: Endpoint) -> str | None:
    """Return the path of the socket that leads to a daemon; None: it is asked over TCP.

    Raises:
        RuntimeFailure: there is no ssh to reach it with.
    """
    if not endpoint.host.startswith("ssh://"):
        return endpoint.socket_path
    from cog_nix_hooks.docker.ssh import local_socket  # noqa: PLC0415 - few daemons are elsewhere

    try:
        return local_socket(endpoint.host)
    except (OSError, ValueError) as error:  # ValueError: it is no URL
        raise unreachable(endpoint, error) from error


def unreachable(endpoint: Endpoint, error: Exception) -> RuntimeFailure:
    """Return the error that says why a daemon does not answer and what to do."""
    path = endpoint.socket_path
    if isinstance(error, PermissionError):
        return RuntimeFailure(
            f"You may not use Docker: permission denied at {path}.",
            hint="Add yourself to the group docker (`sudo usermod -aG docker $USER`) and log in again.",
        )
    if isinstance(error, FileNotFoundError) and path and not shutil.which("docker"):
        return RuntimeFailure(
            f"Docker is not installed: there is no docker command and no socket at {path}.",
            hint="Install Docker Engine. Building an image without running it needs no Docker.",
        )
    if isinstance(error, FileNotFoundError | ConnectionRefusedError) and path:
        return RuntimeFailure(
            f"Docker is not running: nothing listens at {path}.",
            hint="Start it (`sudo systemctl start docker`), or point DOCKER_HOST at a running daemon.",
        )
    return RuntimeFailure(
        f"Docker does not answer at {endpoint.host}: {error or type(error).__name__}",
        hint="`docker info` shows whether it is up; DOCKER_HOST and `docker context ls` say which is meant.",
    )


def not_docker(path: str, error: Exception) -> RuntimeFailure:
    """Return the error for an answer that Docker's API does not have."""
    return RuntimeFailure(
        f"What answers {path} is not Docker: {error}",
        hint="DOCKER_HOST and `docker context ls` say which daemon is meant.",
    )


def _refused(body: bytes) -> Refused:
    try:
        message = jsonvalue.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = body.decode("utf-8", "replace").strip()
    return Refused(f"Docker: {message}")
