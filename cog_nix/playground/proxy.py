"""What the page asks of a model, passed on as it is and without waiting for its end.

On ``http.client``: bytes go through as they come, in both directions, and the connection can be ended from
another thread when the browser has left, which is how a model is told that nobody waits any more.
"""

from __future__ import annotations

import base64
import http.client
import json
import select
import socket
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

PREFIX = "/proxy"
TARGET = "X-Cog-Target"
UPSTREAM_HEADERS = "X-Cog-Upstream-Headers"
_CONNECTING = 10.0
"""Seconds until a model has to take a connection; how long it thinks is its own affair."""
_AT_ONCE = 1 << 16
_LONGEST_HEADER = 32 * 1024
"""Bytes of the model's own headers, encoded: more than browsers take are left out."""
_NOT_SENT = {"x-cog-target", "authorization", "cookie", "origin", "referer", "host", "accept-encoding"}
"""Headers of the page that are none of the model's business, or are written anew."""
_NOT_RETURNED = {"clear-site-data", "service-worker-allowed", "set-cookie", "cache-control"}
_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
    *("transfer-encoding", "upgrade", "proxy-connection"),
}
"""Headers of one connection (RFC 9110, 7.6.1)."""


class TargetError(Exception):
    """A request that cannot be passed on."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Target:
    """A model's API."""

    scheme: str
    host: str
    port: int | None
    authority: str
    path: str

    @classmethod
    def parse(cls, url: str) -> Target:
        """Read the URL that a page sends.

        Raises:
            TargetError: there is none, or it is not a plain http or https URL.
        """
        if not url:
            raise TargetError(400, "no target API set")
        try:
            parts = urlsplit(url.rstrip("/"))
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or "@" in parts.netloc or parts.fragment or parts.scheme not in {"http", "https"}:
            raise TargetError(400, "invalid target API URL")
        return cls(parts.scheme, host, port, parts.netloc, parts.path)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that has been made.

        Raises:
            TargetError: nothing answers there.
        """
        kind = http.client.HTTPSConnection if self.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=_CONNECTING)
        with _told():
            connection.connect()
        connection.sock.settimeout(None)
        return connection


def pass_on(request: BaseHTTPRequestHandler) -> None:
    """Send a request of the page's to the model that it names, and the answer back while it comes.

    Raises:
        TargetError: it cannot be passed on; nothing has been answered yet.
    """
    target = Target.parse(request.headers.get(TARGET, ""))
    path = target.path + (request.path.removeprefix(PREFIX) or "/")
    connection = target.connect()
    with closing(connection):
        with _told():
            connection.putrequest(request.command, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", target.authority)
            for name, value in _headers(request.headers.items(), _NOT_SENT):
                connection.putheader(name, value)
            connection.endheaders()
            for data in _body(request):
                connection.send(data)
        with _ended_with(request.connection, connection.sock):
            with _told():
                response = connection.getresponse()
            _answer(request, response)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what goes wrong with a model's connection into an answer for the page."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TargetError(502, f"cannot reach target API: {error}") from error


def _headers(headers: list[tuple[str, str]], without: set[str]) -> Iterator[tuple[str, str]]:
    named = {
        name.strip().lower()
        for key, value in headers
        if key.lower() == "connection"
        for name in value.split(",")
    }
    for name, value in headers:
        if name.lower() not in without | _HOP_BY_HOP | named:
            yield name, value


def _body(request: BaseHTTPRequestHandler) -> Iterator[bytes]:
    left = int(request.headers.get("Content-Length") or 0)
    while left > 0 and (data := request.rfile.read(min(left, _AT_ONCE))):
        left -= len(data)
        yield data


def _answer(request: BaseHTTPRequestHandler, response: http.client.HTTPResponse) -> None:
    """Write the model's answer; a redirect leads nowhere, or it could lead away from the model."""
    redirect = 300 <= response.status < 400  # noqa: PLR2004 - RFC 9110, 15.4
    without = _NOT_RETURNED | {UPSTREAM_HEADERS.lower()} | ({"location"} if redirect else set())
    kept = list(_headers(response.getheaders(), without))
    request.send_response(response.status, response.reason)
    for name, value in kept:
        request.send_header(name, value)
    described = _described(kept)
    if len(described) <= _LONGEST_HEADER:
        request.send_header(UPSTREAM_HEADERS, described)
    request.send_header("Cache-Control", "no-store")
    sized = response.length is not None or response.status in {204, 304} or request.command == "HEAD"
    if not sized:
        request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    try:
        while data := response.read1(_AT_ONCE):
            request.wfile.write(data if sized else b"%x\r\n%s\r\n" % (len(data), data))
            request.wfile.flush()
        if not sized:
            request.wfile.write(b"0\r\n\r\n")
    except (OSError, http.client.HTTPException):
        request.close_connection = True  # cut off, which is what the page has to see


def _described(headers: list[tuple[str, str]]) -> str:
    """Return the model's headers as the page reads them: JSON in base64url, without padding (RFC 4648, 5)."""
    names: dict[str, list[str]] = {}
    for name, value in headers:
        names.setdefault(name.title(), []).append(value)
    return base64.urlsafe_b64encode(json.dumps(names).encode()).decode().rstrip("=")


@contextmanager
def _ended_with(watched: socket.socket, ended: socket.socket) -> Iterator[None]:
    """While the context lasts, end one connection when the other's far end has left."""
    reader, writer = socket.socketpair()

    def watch() -> None:
        readable, _, _ = select.select([watched, reader], [], [])
        with suppress(OSError):
            if reader in readable or watched.recv(1, socket.MSG_PEEK):
                return  # the next request waits already: it does not leave before this answer
        with suppress(OSError):
            ended.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        writer.close()
        thread.join()
        reader.close()
