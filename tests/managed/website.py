"""A server on loopback that has one file, with an ETag, and cuts an answer off where it is told to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(251)) * 4000


@dataclass
class Server:
    """A server with one file, ``/folder/model.bin``, which it names like that or like this."""

    content: bytes = CONTENT
    etag: str = '"1"'
    head: int = 200
    cut: int = 0
    log: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/folder/model%20x.bin?download=1"


@contextmanager
def serving(server: Server) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            valid = asked and self.headers.get("If-Range") == server.etag
            start = int(asked.removeprefix("bytes=").rstrip("-")) if valid else 0
            server.log.append(f"{self.command} {asked}".strip())
            status = server.head if self.command == "HEAD" else 206 if start else 200
            if not self.path.startswith("/folder/model"):
                status = 404
            self.send_response(status)
            if server.etag:
                self.send_header("ETag", server.etag)
            self.send_header("Content-Length", str(len(server.content) - start))
            self.end_headers()
            if self.command == "GET" and status != 404:
                cut, server.cut = server.cut, 0
                self.wfile.write(server.content[start : start + cut if cut else None])
                self.close_connection = bool(cut)

        do_HEAD = do_GET  # noqa: N815 - http.server's names

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    server.port = served.server_address[1]
    threading.Thread(target=served.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield
    finally:
        served.shutdown()
        served.server_close()
