"""A hub of models on loopback, with a store of large files on another host, which fails where it is told to.

Its answers have the shape that the public hub's documentation describes: a revision with its commit, a tree
in pages that a Link header joins, the sha256 of what LFS keeps, and a redirect to another host for that.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMIT = "5" * 40
"""What ``main`` stands for at first."""
_PAGE = 3
"""Files on a page of a tree."""


@dataclass
class Content:
    """A file of a repository."""

    path: Path
    lfs: bool
    size: int
    digest: str


@dataclass
class Hub:
    """A hub with one repository, ``org/repo``.

    Args:
        folder: where contents are kept.
        token: what has to be shown; "": nothing.
    """

    folder: Path
    token: str = ""
    files: dict[str, Content] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    log: list[str] = field(default_factory=list)
    """Method and path of each request; those for large files begin with ``store``."""
    ranges: list[str] = field(default_factory=list)
    """Range headers that the store of large files saw."""
    shown: list[str] = field(default_factory=list)
    """Authorization headers that the store of large files saw."""
    failures: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    """What the hub answers next instead of what it is asked for."""
    cuts: deque[int] = field(default_factory=deque)
    """The next large files break off after so many bytes."""
    answers: dict[str, Any] = field(default_factory=dict)
    """JSON that is answered for a path, whatever it should be."""
    next_page: str = ""
    """Where each page of a tree leads to instead of the next."""
    port: int = 0
    store_port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, path: str, content: bytes, *, lfs: bool = False) -> str:
        """Put a file into the repository; return its digest."""
        place = self.folder / hashlib.sha256(path.encode()).hexdigest()
        place.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        self.files[path] = Content(place, lfs, len(content), digest)
        return f"sha256:{digest}"

    def count(self, pattern: str) -> int:
        """Return how many requests there were whose line has a pattern in it."""
        return sum(bool(re.search(pattern, line)) for line in self.log)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Site(_Handler):
    """The hub itself."""

    def do_GET(self) -> None:
        hub, parts = self.hub, urlsplit(self.path)
        hub.log.append(f"{self.command} {self.path}")
        if hub.failures:
            self.answer(*hub.failures.popleft())
        elif hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self.answer(401)
        elif parts.path in hub.answers:
            self.answer(200, body=json.dumps(hub.answers[parts.path]).encode())
        else:
            self._route(parts.path, parse_qs(parts.query))

    def _route(self, path: str, query: dict[str, list[str]]) -> None:
        if found := re.fullmatch(r"/api/models/org/repo/revision/([^/]+)", path):
            commit = self.hub.revisions.get(unquote(found[1]))
            self.answer(200, body=json.dumps({"sha": commit}).encode()) if commit else self.answer(404)
        elif found := re.fullmatch(r"/api/models/org/repo/tree/(\w+)", path):
            self._tree(found[1], int(query.get("cursor", ["0"])[0]))
        elif found := re.fullmatch(r"/org/repo/resolve/(\w+)/(.+)", path):
            self._resolve(found[1], unquote(found[2]))
        else:
            self.answer(404)

    def _tree(self, commit: str, start: int) -> None:
        if commit not in self.hub.revisions.values():
            self.answer(404)
            return
        names = sorted(self.hub.files)
        entries: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "folder"}]
        for name in names[start : start + _PAGE]:
            file = self.hub.files[name]
            entry = {"type": "file", "oid": "1" * 40, "size": file.size, "path": name}
            if file.lfs:
                entry["lfs"] = {"oid": file.digest, "size": file.size, "pointerSize": 134}
            entries.append(entry)
        here = f"{self.hub.endpoint}/api/models/org/repo/tree/{commit}?recursive=true"
        following = self.hub.next_page or f"{here}&cursor={start + _PAGE}"
        more = {"Link": f'<{following}>; rel="next"'} if start + _PAGE < len(names) else {}
        self.answer(200, more, json.dumps(entries).encode())

    def _resolve(self, commit: str, name: str) -> None:
        file = self.hub.files.get(name)
        if file is None or commit not in self.hub.revisions.values():
            self.answer(404)
        elif file.lfs:
            key = file.path.name
            self.answer(302, {"Location": f"http://localhost:{self.hub.store_port}/{key}?Signature=secret"})
        else:
            self.answer(200, body=file.path.read_bytes())


class _LargeFiles(_Handler):
    """Where large files are: another origin."""

    def do_GET(self) -> None:
        hub = self.hub
        asked = self.headers.get("Range", "")
        hub.log.append(f"store {self.command} {self.path}")
        hub.shown.append(self.headers.get("Authorization", ""))
        hub.ranges.append(asked)
        path = hub.folder / urlsplit(self.path).path.strip("/")
        size = path.stat().st_size
        start = int(asked.removeprefix("bytes=").partition("-")[0] or 0)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(size - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        self.wfile.flush()
        end = min(size, start + hub.cuts.popleft()) if hub.cuts else size
        with path.open("rb") as stream:
            while start < end:
                start += os.sendfile(self.connection.fileno(), stream.fileno(), start, end - start)
        if end < size:
            self.close_connection = True


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve a hub and its store of large files until the context is left."""
    servers = []
    for kind in (_Site, _LargeFiles):
        server = ThreadingHTTPServer(("127.0.0.1", 0), type(kind.__name__, (kind,), {"hub": hub}))
        server.daemon_threads = True
        servers.append(server)
    hub.port, hub.store_port = (server.server_address[1] for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
