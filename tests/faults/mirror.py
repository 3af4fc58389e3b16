"""A mirror on loopback that hands on what another has, and misbehaves on demand."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, Self, get_args

from cog_nix.errors import FetchError
from cog_nix.fetch.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

Fault = Literal[
    "reset",
    "cut",
    "truncated",
    "flipped",
    "longer",
    "busy",
    "limited",
    "missing",
    "forbidden",
    "portal",
    "circle",
    "slow",
    "silent",
]
"""How an answer is wrong: the connection is reset, or ends in the middle; the body is half of what is there,
or has another bit; the length is too large; 503 and 429 with Retry-After, 404, 403; a page to log in at; a
redirect to itself; a byte each now and then; nothing at all."""
FAULTS: tuple[Fault, ...] = get_args(Fault)
_SLOW_SECONDS = 0.2


@dataclass
class Misbehaviour:
    """What is wrong with which answers."""

    fault: Fault
    suffix: str = ""
    """End of the paths that it is about."""
    times: int = 1 << 30
    """So many answers, then all is well."""


@dataclass
class Mirror:
    """Answers below ``/NAME/`` what another server has, from memory the second time.

    Args:
        sources: base URLs by name.
    """

    sources: Mapping[str, str]
    misbehaviour: Misbehaviour | None = None
    answers: int = 0
    """How many were wrong."""
    _known: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"mirror": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def misbehave(self, fault: Fault | None, suffix: str = "", times: int = 1 << 30) -> None:
        self.misbehaviour = Misbehaviour(fault, suffix, times) if fault else None
        self.answers = 0

    def fault(self, path: str) -> Fault | None:
        """Return what is wrong with this answer."""
        with self._lock:
            known = self.misbehaviour
            if known is None or not path.endswith(known.suffix) or self.answers >= known.times:
                return None
            self.answers += 1
            return known.fault

    def content(self, path: str) -> tuple[int, bytes]:
        """Return status and body."""
        if path not in self._known:
            name, _, rest = path.lstrip("/").partition("/")
            try:
                with Transport() as transport, transport.open(f"{self.sources[name]}/{rest}") as answer:
                    self._known[path] = (200, b"".join(answer.chunks))
            except FetchError:
                self._known[path] = (404, b"")
        return self._known[path]


class _Handler(BaseHTTPRequestHandler):
    mirror: Mirror
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        status, body = self.mirror.content(self.path)
        start = 0
        asked = self.headers.get("range", "")
        if status == 200 and asked.startswith("bytes=") and body:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        fault = self.mirror.fault(self.path)
        with suppress(OSError):  # who asked has given up
            if fault is None:
                self._answer(206 if start else status, body, start)
            else:
                self._misbehave(fault, body[start:], start, len(body))

    do_HEAD = do_GET  # noqa: N815 - http.server calls it so

    def _answer(self, status: int, body: bytes, start: int = 0, length: int | None = None) -> None:
        self.send_response(status)
        part = body[start:]
        self.send_header("Content-Length", str(len(part) if length is None else length))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(part)

    def _misbehave(self, fault: Fault, part: bytes, start: int, whole: int) -> None:
        self.close_connection = True
        statuses = {
            "busy": 503,
            "limited": 429,
            "missing": 404,
            "forbidden": 403,
            "circle": 302,
            "portal": 200,
        }
        if fault in {"reset", "silent"}:
            if fault == "silent":
                time.sleep(60)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        status = statuses.get(fault, 206 if start and fault != "portal" else 200)
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        if fault in {"busy", "limited"}:
            self.send_header("Retry-After", "1")
        if fault == "circle":
            self.send_header("Location", self.path)
        body = self._body(fault, part)
        length = len(part) if fault == "cut" else len(body) + (1000 if fault == "longer" else 0)
        self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        if fault == "slow":
            for at in range(0, len(body), max(1, len(body) // 20)):
                self.wfile.write(body[at : at + max(1, len(body) // 20)])
                self.wfile.flush()
                time.sleep(_SLOW_SECONDS)
        else:
            self.wfile.write(body)

    @staticmethod
    def _body(fault: Fault, part: bytes) -> bytes:
        half = len(part) // 2
        if fault in {"cut", "truncated"}:
            return part[:half]
        if fault == "flipped" and part:
            return part[:half] + bytes([part[half] ^ 1]) + part[half + 1 :]
        if fault == "portal":
            return b"<!DOCTYPE html><html><title>Log in</title></html>"
        return part if fault in {"longer", "slow", "flipped"} else b""
