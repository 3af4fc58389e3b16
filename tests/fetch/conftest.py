"""A loopback server that misbehaves on demand."""

from __future__ import annotations

import hashlib
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from cog_nix.fetch.caching import CachingFetcher
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.lock.model import Artifact
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@dataclass
class Site:
    """What the server holds, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    moods: dict[str, list[str]] = field(default_factory=dict)
    """Per path, how to treat each next request: ``500``, ``cut:N``, ``whole``, ``redirect:URL``,
    ``slow``, ``range:TEXT`` (says that it is another part), ``more`` (than was asked for), ``lie``."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every body."""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    """``slow`` answers send one byte and wait for this."""
    answering: list[str] = field(default_factory=list)
    overlaps: list[tuple[str, ...]] = field(default_factory=list)
    """Paths that were being answered at one time, whenever another one came."""

    def together(self, paths: Sequence[str]) -> int:
        """Return how many of these paths were answered at a time, at most."""
        return max(sum(path in paths for path in found) for found in self.overlaps)

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]

    def artifact(self, name: str, content: bytes, **changes: object) -> Artifact:
        self.files[f"/{name}"] = content
        known: dict[str, object] = {
            "filename": name,
            "url": f"{self.url}/{name}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }
        return Artifact(**{**known, **changes})  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        site = self.server.site
        site.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        site.answering.append(self.path)
        site.overlaps.append(tuple(site.answering))
        try:
            self.react()
        finally:
            site.answering.remove(self.path)

    def react(self) -> None:
        moods = self.server.site.moods.get(self.path, [])
        mood, _, detail = (moods.pop(0) if moods else "").partition(":")
        if mood.isdigit():
            self.answer(int(mood), b"")
        elif mood == "redirect":
            self.answer(302, b"", {"Location": detail})
        elif self.path not in self.server.site.files:
            self.answer(404, b"")
        else:
            self.serve(self.server.site.files[self.path], mood, detail)

    def serve(self, content: bytes, mood: str, detail: str) -> None:
        total, start = len(content), 0
        asked_range = self.headers.get("Range")
        etag = self.server.site.headers.get("ETag")
        if etag and self.headers.get("If-None-Match") == etag:
            self.answer(304, b"")
            return
        stop = total
        validator = self.headers.get("If-Range", etag)
        partial = asked_range and mood != "whole" and validator == etag
        if asked_range and partial:
            first, _, last = asked_range.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1 if last else total, total)
        told = detail if mood == "range" else f"bytes {start}-{stop - 1}/{total}"
        extra = {"Content-Range": told} if partial else {}
        end = start + int(detail) if mood == "cut" else 1 if mood == "slow" else stop
        body = content[start:end][::-1] if mood == "lie" else content[start:end]
        if mood == "more":
            self.answer(206, body + b"more", extra)
            return
        self.answer(206 if partial else 200, body, extra, length=stop - start)
        if mood == "slow":
            self.wfile.flush()
            self.server.site.release.wait(20)
        if mood in {"cut", "slow"}:
            self.close_connection = True

    def answer(
        self, status: int, body: bytes, extra: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**self.server.site.headers, **(extra or {})}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: Site) -> None:
        self.site = site
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing when a client goes away."""


@pytest.fixture
def site() -> Iterator[Site]:
    known = Site()
    server = _Server(known)
    known.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield known
    finally:
        known.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's proxies and credentials have no say here."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def fetcher(cache: Path) -> CachingFetcher:
    return CachingFetcher(cache, SilentReporter(), policy=RetryPolicy(attempts=3, delay=0.01))


@pytest.fixture
def part(cache: Path) -> Callable[[Artifact], Path]:
    """Return where the part of an artifact lies, its folder made."""

    def locate(artifact: Artifact) -> Path:
        folder = cache / "downloads" / "sha256" / artifact.sha256[:2]
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{artifact.sha256}.part"

    return locate


@pytest.fixture
def dead_url() -> str:
    """Return a URL that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
