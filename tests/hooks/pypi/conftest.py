"""A loopback package index with wheels that are made for each test."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import threading
import zipfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import PythonSettings, Settings
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.plugins.spec import Context, PythonRequest
from cog_nix.report import SilentReporter
from cog_nix_hooks import pypi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cog_nix.lock.model import Wheel

    from .torch_index import PyTorch


def wheel(name: str, version: str, requires: Sequence[str] = (), extras: Sequence[str] = ("extra",)) -> bytes:
    """Return a wheel that holds nothing but its metadata; uv reads no more."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return stream.getvalue()


def sdist(folder: str, files: Mapping[str, str]) -> bytes:
    """Return a source archive with everything in one folder."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=stream, mode="w", mtime=0) as file,
        tarfile.open(fileobj=file, mode="w") as tar,
    ):
        for name, text in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


def static(name: str, version: str, requires: Sequence[str] = (), build: Sequence[str] = ("backend",)) -> str:
    """Return a pyproject.toml that tells all that a resolver asks."""
    return (
        f"[build-system]\nrequires = {json.dumps(build)}\nbuild-backend = 'backend'\n"
        f"[project]\nname = '{name}'\nversion = '{version}'\ndependencies = {json.dumps(requires)}\n"
    )


@dataclass
class Index:
    """A simple repository (PEP 503, PEP 691)."""

    url: str = ""
    html: bool = False
    """Answer as PEP 503 has it: no sizes."""
    hashes: bool = True
    password: str | None = None
    """User ``user`` must give it for pages and repositories; files are free unless ``closed``."""
    closed: bool = False
    repositories: dict[str, Path] = field(default_factory=dict)
    """Git repositories, served as files (gitprotocol-http, "dumb"), by name."""
    uploaded: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The option line that names this index."""
        return f"--index-url {self.url}/simple/"

    def add(
        self,
        name: str,
        version: str,
        requires: Sequence[str] = (),
        *,
        tags: str = "py3-none-any",
        extras: Sequence[str] = ("extra",),
    ) -> bytes:
        """Add a wheel; return its content."""
        content = wheel(name, version, requires, extras)
        self.files.setdefault(name, {})[f"{name.replace('-', '_')}-{version}-{tags}.whl"] = content
        return content

    def add_source(self, name: str, version: str, files: Mapping[str, str] | None = None) -> bytes:
        """Add a source distribution; return its content. Without files it is none."""
        content = sdist(f"{name}-{version}", files) if files else b"source"
        self.files.setdefault(name, {})[f"{name}-{version}.tar.gz"] = content
        return content

    def page(self, name: str) -> tuple[str, bytes]:
        """Return type and body of a project's page."""
        rows = self.files[name]
        if self.html:
            links = "".join(
                f'<a href="../../files/{file}{self.fragment(content)}">{file}</a>\n'
                for file, content in rows.items()
            )
            return "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        files = [
            {
                "filename": file,
                "url": f"{self.url}/files/{file.replace('+', '%2B')}",
                "hashes": {"sha256": hashlib.sha256(content).hexdigest()} if self.hashes else {},
                "size": len(content),
                "upload-time": self.uploaded.get(file, "2020-01-01T00:00:00Z"),
            }
            for file, content in rows.items()
        ]
        body = {"meta": {"api-version": "1.1"}, "name": name, "files": files}
        return "application/vnd.pypi.simple.v1+json", json.dumps(body).encode()

    def fragment(self, content: bytes) -> str:
        """Return what a PEP 503 link says about the hash."""
        return f"#sha256={hashlib.sha256(content).hexdigest()}" if self.hashes else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        index = self.server.index
        index.asked.append(f"{self.command} {self.path}")
        kind, _, name = self.path.strip("/").partition("/")
        name = name.replace("%2B", "+")
        content = {file: body for files in index.files.values() for file, body in files.items()}
        repository, _, path = self.path.strip("/").partition("?")[0].removeprefix("git/").partition("/")
        guarded = {"simple", "git", "files"} if index.closed else {"simple", "git"}
        if kind in guarded and not self.allowed(index):
            self.answer(401, "text/plain", b"", {"WWW-Authenticate": "Basic"})
        elif kind == "git" and (index.repositories.get(repository, Path("/")) / ".git" / path).is_file():
            self.answer(200, "text/plain", (index.repositories[repository] / ".git" / path).read_bytes())
        elif kind == "simple" and name in index.files:
            self.answer(200, *index.page(name))
        elif kind == "files" and name in content:
            self.answer(200, "application/octet-stream", content[name])
        else:
            self.answer(404, "text/plain", b"")

    def allowed(self, index: Index) -> bool:
        token = base64.b64encode(f"user:{index.password}".encode()).decode()
        return index.password is None or self.headers.get("Authorization") == f"Basic {token}"

    def answer(self, status: int, kind: str, body: bytes, extra: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, index: Index) -> None:
        self.index = index
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing when a client goes away."""


@contextmanager
def serve() -> Iterator[Index]:
    """Serve a new index on loopback."""
    index = Index()
    server = _Server(index)
    index.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def make_index() -> Iterator[Callable[[], Index]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(serve())


@pytest.fixture
def index(make_index: Callable[[], Index]) -> Index:
    return make_index()


def commit(folder: Path, files: Mapping[str, str], tag: str = "") -> str:
    """Commit files to the repository in ``folder``, made when needed; return the commit."""

    def git(*words: str) -> str:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        command = ["git", *identity, "-c", "commit.gpgSign=false", *words]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", "x")
    if tag:
        git("tag", tag)
    git("update-server-info")
    return git("rev-parse", "HEAD")


@pytest.fixture
def plain_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine without any configuration of pip, uv or proxies, and with an empty uv cache."""
    import os  # noqa: PLC0415

    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(home / "etc"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    return monkeypatch


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def resolve(tmp_path: Path, project: Path) -> Callable[..., dict[str, Wheel]]:
    """Resolve lines to wheels by name, as the lock does, through the hook."""

    def call(
        *lines: str,
        exclude_newer: str | None = None,
        extras: tuple[str, ...] = (),
        groups: tuple[str, ...] | None = None,
        **request: object,
    ) -> dict[str, Wheel]:
        reporter = SilentReporter()
        settings = PythonSettings(exclude_newer=exclude_newer, extras=extras, groups=groups)
        context = Context(
            Settings(python=settings),
            CachingFetcher(
                tmp_path / "cache",
                reporter,
                credentials=lambda: pypi.download_credentials(lines),
                root=project,
            ),
            reporter,
            tmp_path / "cache",
        )
        known: dict[str, object] = {"python_version": "3.13.5", "project_root": project, "glibc": "2.41"}
        question = PythonRequest(requirements=lines, **{**known, **request})  # type: ignore[arg-type]
        wheels = pypi.resolve_python_packages(question, context).wheels
        assert [found.name for found in wheels] == sorted(found.name for found in wheels)
        return {found.name: found for found in wheels}

    return call


@pytest.fixture
def pytorch(plain_machine: pytest.MonkeyPatch, index: Index, tmp_path: Path) -> Iterator[PyTorch]:
    """PyTorch's indexes, beside a PyPI that is this machine's configured one."""
    from . import torch_index  # noqa: PLC0415 - it needs this module

    for name, versions in torch_index.RECORDED["pypi"].items():
        for version, pythons in versions.items():
            for python in pythons.split():
                tags = f"cp{python}-cp{python}-manylinux_2_28_x86_64"
                index.add(name, version, torch_index.requires(name, version), tags=tags)
    with torch_index.serve() as served:
        authority = tmp_path / "authority.pem"
        authority.write_bytes(served.authority.cert_pem.bytes())
        plain_machine.delenv("SSL_CERT_DIR", raising=False)
        plain_machine.setenv("SSL_CERT_FILE", str(authority))
        plain_machine.setenv("UV_DEFAULT_INDEX", f"{index.url}/simple/")
        plain_machine.setenv("HTTPS_PROXY", served.proxy)
        plain_machine.setenv("NO_PROXY", "127.0.0.1")
        yield served
