"""A small HTTP server that models reach: it takes webhooks and uploads, and hands out files."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from cog_nix.system.jsonvalue import loads

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Received:
    """A request that a model made."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return loads(self.body)


class Listener:
    """Serves while its context is open; forgets everything afterwards.

    Args:
        address: where it listens.
        host: what containers call this machine.
    """

    def __init__(self, address: str, host: str) -> None:
        self._host = host
        self._received: list[Received] = []
        self._files: dict[str, tuple[str, bytes]] = {}
        self._news = threading.Condition()
        self._server = _bind(address, _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def base(self) -> str:
        """``http://HOST:PORT`` as containers see it."""
        return f"http://{self._host}:{self._server.server_port}"

    def new_hook(self) -> str:
        """Return a path that nobody else posts to."""
        return f"/hook/{uuid.uuid4().hex}"

    def offer(self, name: str, kind: str, content: bytes) -> str:
        """Hand out a file from now on; return its URL."""
        path = f"/file/{uuid.uuid4().hex}/{name}"
        self._files[path] = (kind, content)
        return self.base + path

    def file(self, path: str) -> tuple[str, bytes] | None:
        """Return content type and content of an offered file."""
        return self._files.get(path)

    def accept(self, request: Received) -> None:
        """Note a request."""
        with self._news:
            self._received.append(request)
            self._news.notify_all()

    def wait(self, hook: str, enough: Callable[[list[Received]], bool], timeout: float) -> list[Received]:
        """Return what came to a path, once it is enough or time is over."""

        def arrived() -> list[Received]:
            return [request for request in self._received if request.path.startswith(hook)]

        with self._news:
            self._news.wait_for(lambda: enough(arrived()), timeout)
            return arrived()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _bind(address: str, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer((address, 0), handler)
    except (
        OSError
    ):  # Docker Desktop: the bridge is in a virtual machine, and the host's name leads to our loopback
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def _handler(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = listener.file(self.path)
            if found is None:
                self._reply(HTTPStatus.NOT_FOUND, "text/plain", b"")
            else:
                self._reply(HTTPStatus.OK, *found)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            listener.accept(Received(self.command, self.path, headers, body))
            self._reply(HTTPStatus.OK, "application/json", b"{}")

        do_PUT = do_POST  # noqa: N815 - http.server looks for this name

        def _reply(self, status: HTTPStatus, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
