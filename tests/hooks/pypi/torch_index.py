"""A stand-in for PyTorch's indexes, at whatever address uv has for them.

uv knows those addresses and nobody else has to: it is sent through a loopback proxy, which answers CONNECT
(RFC 9110, section 9.3.6) itself, with a certificate for the host that uv names.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import trustme

from .conftest import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RECORDED: dict[str, dict[str, dict[str, str]]] = json.loads(
    Path(__file__).with_name("pytorch-index.json").read_text("utf-8")
)
"""What each index offers: backend, package, version, and the CPythons (``310 311``) there are wheels for."""


def requires(name: str, version: str) -> list[str]:
    """Return what a wheel of PyTorch's requires of PyTorch's others."""
    if name == "torch":
        return []
    public, _, local = version.partition("+")
    torch = None if public in OPEN else PARTNERS[name].get(public)
    return [f"torch=={torch}+{local}" if local else f"torch=={torch}"] if torch else []


PARTNERS: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("pytorch-partners.json").read_text("utf-8")
)
"""The torch that each torchvision and torchaudio was made for."""

OPEN = ("2.11.0",)
"""A torchaudio that requires no torch in particular."""


@dataclass
class PyTorch:
    """PyTorch's indexes: ``/…/BACKEND/PACKAGE/`` (PEP 503), with metadata beside the wheels (PEP 658)."""

    proxy: str
    authority: trustme.CA
    pages: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=lambda: RECORDED)
    refuses: bool = False
    """Answer CONNECT as a proxy does that lets nobody through."""
    asked: list[str] = field(default_factory=list)
    """``BACKEND/PACKAGE`` of each page that was asked for."""

    def page(self, backend: str, name: str) -> bytes | None:
        """Return a package's page, None when there is none."""
        offered = self.pages.get(backend, {}).get(name)
        if offered is None:
            return None
        links = []
        for version, pythons in offered.items():
            for python in pythons.split():
                content = self.wheel(name, version)
                filename = f"{name}-{version}-cp{python}-cp{python}-linux_x86_64.whl"
                fragment = hashlib.sha256(content).hexdigest()
                links.append(
                    f'<a href="../{quote(filename)}#sha256={fragment}" data-dist-info-metadata="true">'
                    f"{filename}</a><br/>"
                )
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()

    @staticmethod
    def wheel(name: str, version: str) -> bytes:
        """Return a wheel with nothing but metadata."""
        return wheel(name, version, requires(name, version))

    @staticmethod
    def metadata(name: str, version: str) -> bytes:
        """Return a wheel's metadata on their own."""
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires(name, version)]
        return ("\n".join([*lines, "Provides-Extra: extra"]) + "\n").encode()

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Return type and body of what lies at a path."""
        *_, backend, last = unquote(path).strip("/").split("/")
        if path.endswith("/"):
            self.asked.append(f"{backend}/{last}")
            page = self.page(backend, last)
            return ("text/html", page) if page else None
        name, version = last.split("-")[:2]
        if last.endswith(".metadata"):
            return "application/octet-stream", self.metadata(name, version)
        return "application/octet-stream", self.wheel(name, version)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_CONNECT(self) -> None:
        """Become the host that is asked for."""
        if self.server.pytorch.refuses:
            self.send_error(403)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        self.request = self.server.context(self.path.partition(":")[0]).wrap_socket(
            self.connection, server_side=True
        )
        self.setup()
        self.handle()
        self.finish()
        self.request.close()

    def do_HEAD(self) -> None:
        """Answer without the body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer what the index has."""
        kind, body = self.server.pytorch.answer(self.path) or ("text/plain", b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pytorch: PyTorch

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def context(self, host: str) -> ssl.SSLContext:
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self.pytorch.authority.issue_cert(host).configure_cert(self._contexts[host])
            return self._contexts[host]

    def handle_error(self, *_: object) -> None:
        """Say nothing when a client goes away."""


@contextmanager
def serve() -> Iterator[PyTorch]:
    """Serve PyTorch's indexes behind a loopback proxy."""
    server = _Server()
    server.pytorch = PyTorch(f"http://127.0.0.1:{server.server_address[1]}", trustme.CA())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.pytorch
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
