"""Requirements of public models, and an index on loopback that knows what resolving them takes.

``corpus.json.xz`` was made by :mod:`.record_corpus`. The projects are what ``cog.yaml`` files of public
repositories ask for: names and versions alone, without what names a place (git, URLs, indexes, local
versions such as ``+cu118``); those for older Pythons ask for 3.10. Of the index it has the versions that
resolving looked at: file names, ``requires-python`` and what their metadata say of dependencies. What there
is as source only stands there as a wheel.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE = Path(__file__).with_name("corpus.json.xz")
GLIBC = {"3.11": "2.36"}
"""By Python version: Debian 12 has 3.11; everything else is on Debian 13."""
_NEWEST_GLIBC = "2.41"


@dataclass(frozen=True)
class Entry:
    """One file of a package."""

    filename: str
    requires_python: str | None = None
    yanked: bool = False


@dataclass(frozen=True)
class Project:
    """What one model asks for."""

    python: str
    gpu: bool
    lines: tuple[str, ...]

    @property
    def glibc(self) -> str:
        """Of the Debian that the image has."""
        return GLIBC.get(self.python, _NEWEST_GLIBC)


class Index(Protocol):
    """What the server is asked."""

    def page(self, name: str) -> list[Entry] | None:
        """Return the files of a package; None: there is no such package."""

    def metadata(self, filename: str) -> str | None:
        """Return the metadata of a file (PEP 658)."""


@dataclass(frozen=True)
class Recorded:
    """An index from memory."""

    pages: Mapping[str, list[Entry]]
    texts: Mapping[str, str]

    def page(self, name: str) -> list[Entry] | None:
        """Return the files of a package."""
        return self.pages.get(name)

    def metadata(self, filename: str) -> str | None:
        """Return the metadata of a file."""
        return self.texts.get(filename)


def load() -> tuple[list[Project], Recorded]:
    """Return the projects, and the index that was recorded for them."""
    known = json.loads(lzma.decompress(FILE.read_bytes()))
    projects = [Project(one["python"], one["gpu"], tuple(one["lines"])) for one in known["projects"]]
    pages: dict[str, list[Entry]] = {}
    texts: dict[str, str] = {}
    for name, files in known["packages"].items():
        pages[name] = [Entry(file, python, yanked) for file, python, yanked, _ in files]
        texts |= {file: known["texts"][number] for file, _, _, number in files}
    return projects, Recorded(pages, texts)


def dump(projects: list[Project], index: Recorded) -> bytes:
    """Return the content of the file."""
    numbers: dict[str, int] = {}
    packages = {
        name: [
            (one.filename, one.requires_python, one.yanked, numbers.setdefault(text, len(numbers)))
            for one in files
            if (text := index.texts.get(one.filename)) is not None
        ]
        for name, files in sorted(index.pages.items())
    }
    known = {
        "projects": [{"python": one.python, "gpu": one.gpu, "lines": one.lines} for one in projects],
        "packages": {name: files for name, files in packages.items() if files},
        "texts": list(numbers),
    }
    text = json.dumps(known, separators=(",", ":"), ensure_ascii=False)
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        kind, _, name = self.path.strip("/").partition("/")
        name = name.replace("%2B", "+")
        if kind == "simple" and (files := self.server.index.page(name)) is not None:
            body = {"meta": {"api-version": "1.1"}, "name": name, "files": list(map(_row, files))}
            self.answer(200, "application/vnd.pypi.simple.v1+json", json.dumps(body).encode())
        elif text := self.server.index.metadata(name.removesuffix(".metadata")) if kind == "files" else None:
            self.answer(200, "text/plain", text.encode())
        else:
            self.answer(404, "text/plain", b"")

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "max-age=36000"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _row(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "filename": entry.filename,
        "url": f"/files/{entry.filename.replace('+', '%2B')}",
        "hashes": {"sha256": hashlib.sha256(entry.filename.encode()).hexdigest()},
        "size": 1000,
        "yanked": entry.yanked,
        "core-metadata": True,
    }
    return row | ({"requires-python": entry.requires_python} if entry.requires_python else {})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, index: Index) -> None:
        self.index = index
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing when a client goes away."""


@contextmanager
def serve(index: Index) -> Iterator[str]:
    """Serve an index on loopback; yield its URL."""
    server = _Server(index)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
