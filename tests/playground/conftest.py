"""A playground, and a small HTTP server that stands for a model."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from cog_nix.playground import Playground, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Model:
    """What answers for a model, and what it was asked."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    """Set when somebody who was waiting for ``/slow`` has left."""
    more: threading.Event = field(default_factory=threading.Event)
    """``/stream`` sends its second event after this."""


@pytest.fixture
def model() -> Iterator[Model]:
    """Yield a model that answers with what it was asked."""
    model = Model()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            model.asked.append((self.command, self.path, dict(self.headers.items()), body))
            {"/stream": self._stream, "/slow": self._slow, "/away": self._away}.get(self.path, self._echo)()

        do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

        def _echo(self) -> None:
            answer = json.dumps({"method": self.command, "path": self.path}).encode()
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Set-Cookie", "a=b")
            self.send_header("Clear-Site-Data", '"*"')
            self.send_header("X-Model", "one")
            self.send_header("X-Model", "two")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"event: start\ndata: {}\n\n")
            self.wfile.flush()
            model.more.wait(20)
            self.wfile.write(b"event: completed\ndata: {}\n\n")
            self.close_connection = True

        def _slow(self) -> None:
            self.connection.settimeout(20)
            if not self.connection.recv(1):
                model.left.set()
            self.close_connection = True

        def _away(self) -> None:
            self.send_response(307)
            self.send_header("Location", "http://elsewhere.test/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield model
    model.more.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def playground(model: Model) -> Iterator[Playground]:
    """Yield a playground for that model, on all interfaces as with ``serve --playground``."""
    with Playground(Settings("0.0.0.0", 0, model.url, "127.0.0.1")) as running:  # noqa: S104 - the case that matters
        yield running
