"""The playground's server: the page, its settings, the way to the model, and webhooks."""

from __future__ import annotations

import json
import mimetypes
import queue
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from ipaddress import ip_address
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

import cog_nix
from cog_nix.errors import CogNixError
from cog_nix.playground.access import SECURITY_HEADERS, may_ask
from cog_nix.playground.events import Hub, as_event
from cog_nix.playground.proxy import PREFIX, TargetError, pass_on

if TYPE_CHECKING:
    from types import TracebackType

_WEBHOOK = "/webhook/"
_LARGEST_WEBHOOK = 10 * 1024 * 1024
_WEBHOOKS_AT_ONCE = 16
_LONGEST_TOKEN = 128
_KEEP_ALIVE = 15.0
"""Seconds between two comments of a stream of events where nothing else is sent."""
_PATIENCE = 300.0
"""Seconds for what a client has to say."""
_PAGE = {path.name: path for path in files("cog_nix.playground").joinpath("page").iterdir()}
_FORBIDDEN = "playground UI and proxy are only available from this browser"


class ListenError(CogNixError):
    """The playground cannot listen where it should.

    Args:
        host: the address.
        port: 0: any.
        reason: of the system.
    """

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(hint="Choose another --host or --port; port 0 takes a free one.")
        self.host, self.port, self.reason = host, port, reason

    def __str__(self) -> str:
        return f"starting playground server: listen on {_bracketed(self.host)}:{self.port}: {self.reason}"


@dataclass(frozen=True)
class Settings:
    """Where the playground listens, and what it talks to."""

    host: str = "127.0.0.1"
    """The address to bind."""
    port: int = 0
    """0: a free one."""
    target: str = "http://localhost:8393"
    """URL of the model's API that the page begins with."""
    webhook_host: str = "host.docker.internal"
    """Name under which a model reaches this machine."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, settings: Settings) -> None:
        host = settings.host.strip("[]")
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, settings.port), _Handler)
        port = int(self.server_address[1])
        self.config = {
            "target": settings.target,
            "webhookBase": f"http://{_bracketed(settings.webhook_host)}:{port}",
            "cogVersion": cog_nix.__version__,
        }
        self.notice = ""
        self.hub = Hub()
        self.slots = threading.BoundedSemaphore(_WEBHOOKS_AT_ONCE)
        self.url = f"http://{_bracketed(_reachable(host))}:{port}/"

    def server_bind(self) -> None:
        """Bind, without asking for this machine's name as HTTPServer does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, *_: Any) -> None:
        """Say nothing where a browser has left."""


class Playground:
    """A playground that listens; as a context, until the end of it.

    Args:
        settings: where, and for which model.

    Raises:
        ListenError: it cannot listen there.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            self._server = _Server(settings)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ListenError(settings.host, settings.port, reason) from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        """Where a browser of this machine finds it."""
        return self._server.url

    @property
    def port(self) -> int:
        """The port that was chosen."""
        return int(self._server.server_address[1])

    def notice(self, text: str) -> None:
        """Show a text on the page until the next one; empty: none."""
        self._server.notice = text

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "cog-nix"
    sys_version = ""
    timeout = _PATIENCE
    server: _Server

    def do_GET(self) -> None:
        """Answer any request; http.server asks for a method each."""
        path = urlsplit(self.path).path
        try:
            self._route(path)
        except TargetError as error:
            self._send(error.status, json.dumps({"error": str(error)}).encode(), "application/json")
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = do_GET  # noqa: N815 - http.server's names

    def _route(self, path: str) -> None:
        if path.startswith(_WEBHOOK):
            self._webhook(path.removeprefix(_WEBHOOK))
        elif not may_ask(self.client_address[0], self.headers):
            self._refuse(403, _FORBIDDEN)
        elif path == PREFIX or path.startswith(f"{PREFIX}/"):
            pass_on(self)
        elif path == "/events":
            self._events(parse_qs(urlsplit(self.path).query).get("token", [""])[0])
        elif path == "/config":
            notice = {"notice": self.server.notice} if self.server.notice else {}
            self._send(200, json.dumps({**self.server.config, **notice}).encode(), "application/json")
        elif (page := _PAGE.get(path.lstrip("/") or "index.html")) and self.command in {"GET", "HEAD"}:
            kind = mimetypes.guess_type(page.name)[0] or "application/octet-stream"
            self._send(200, page.read_bytes(), f"{kind}; charset=utf-8")
        else:
            self._refuse(404, "not found")

    def _webhook(self, token: str) -> None:
        hub, slots = self.server.hub, self.server.slots
        length = self.headers.get("Content-Length") or "0"
        size = int(length) if length.isdecimal() else None
        if self.command != "POST":
            self._refuse(405, "method not allowed", Allow="POST")
        elif not token or "/" in token or len(token) > _LONGEST_TOKEN:
            self._refuse(404, "missing token")
        elif not hub.has_listeners(token):
            self._refuse(503, "no browser is ready to receive this webhook")
        elif size is None:
            self._refuse(400, "invalid content length")
        elif size > _LARGEST_WEBHOOK or "chunked" in self.headers.get("Transfer-Encoding", ""):
            self._refuse(413, "webhook body too large")
        elif not slots.acquire(blocking=False):
            self._refuse(429, "too many concurrent webhooks")
        else:
            try:
                taken = hub.publish(token, self.rfile.read(size))
            finally:
                slots.release()
            if taken:
                self._send(200, b"{}", "application/json")
            else:
                self._refuse(503, "no browser is ready to receive this webhook")

    def _events(self, token: str) -> None:
        if not token:
            self._refuse(400, "missing token")
            return
        with self.server.hub.subscribed(token) as deliveries:  # before the answer, so that none is missed
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Cache-Control", "no-cache")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            while True:
                try:
                    self.wfile.write(as_event(deliveries.get(timeout=_KEEP_ALIVE)))
                except queue.Empty:
                    self.wfile.write(b": keep-alive\n\n")
                self.wfile.flush()

    def _refuse(self, status: int, text: str, **headers: str) -> None:
        self.close_connection = True  # a body that was not read must not be taken for a request
        self._send(status, f"{text}\n".encode(), "text/plain; charset=utf-8", **headers)

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end_headers(self) -> None:
        """Close the head of an answer, with what every answer has."""
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


def _bracketed(host: str) -> str:
    host = host.strip("[]")
    return f"[{host}]" if ":" in host else host


def _reachable(host: str) -> str:
    """Return the address at which a browser finds what listens on all of them."""
    with suppress(ValueError):
        if ip_address(host or "0.0.0.0").is_unspecified:  # noqa: S104 - compared, not bound
            return "::1" if ":" in host else "127.0.0.1"
    return host
