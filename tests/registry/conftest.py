"""Registries to push to: Debian's docker-registry, and one in Python that misbehaves on demand."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER, PASSWORD = "ali", "open sesame"
_HTPASSWD = f"{USER}:$2b$04$k1D/83XgaHCRyl0JbB29wujLgDVTU3R2u4G.9xlNGmHi0zZ2FX7oO\n"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@lru_cache(maxsize=16)
def compressed(layer: bytes) -> bytes:
    """Return a layer as registries have it; many tests push the same one."""
    return gzip.compress(layer, 1, mtime=0)


def write_layout(root: Path, layers: list[bytes], *, architecture: str = "amd64", **options: Any) -> Path:
    """Write an OCI layout by the image-spec, not by the code under test."""
    blobs = root / "blobs/sha256"
    blobs.mkdir(parents=True)

    def add(data: bytes, kind: str) -> dict[str, Any]:
        (blobs / digest_of(data).removeprefix("sha256:")).write_bytes(data)
        return {
            "mediaType": f"application/vnd.oci.image.{kind}",
            "digest": digest_of(data),
            "size": len(data),
        }

    diff_ids = [digest_of(layer) for layer in layers]
    config = {"architecture": architecture, "os": "linux", "config": options, "rootfs": {"type": "layers"}}
    config["rootfs"]["diff_ids"] = diff_ids  # type: ignore[index]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": add(json.dumps(config).encode(), "config.v1+json"),
        "layers": [add(compressed(layer), "layer.v1.tar+gzip") for layer in layers],
    }
    index = {"schemaVersion": 2, "manifests": [add(json.dumps(manifest).encode(), "manifest.v1+json")]}
    (root / "index.json").write_text(json.dumps(index))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return root


@pytest.fixture
def make_layout(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a layout of layers with these bytes."""

    def make(*layers: bytes, architecture: str = "amd64") -> Path:
        number = len(list(tmp_path.glob("layout-*")))
        return write_layout(tmp_path / f"layout-{number}", list(layers), architecture=architecture)

    return make


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_CONFIG = """\
version: 0.1
storage:
  filesystem: {{rootdirectory: {folder}/data}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
{auth}
"""


@pytest.fixture(scope="session")
def start_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Return a function that starts Debian's docker-registry and returns its ``host:port``."""
    program = shutil.which("docker-registry", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert program, "Debian's package docker-registry is missing: scripts/setup test installs it"
    running: list[subprocess.Popen[bytes]] = []

    def start(*, password: bool = False) -> str:
        folder = tmp_path_factory.mktemp("registry")
        (folder / "htpasswd").write_text(_HTPASSWD)
        auth = f"auth: {{htpasswd: {{realm: r, path: {folder}/htpasswd}}}}" if password else ""
        port = _free_port()
        (folder / "config.yml").write_text(_CONFIG.format(folder=folder, port=port, auth=auth))
        with (folder / "log").open("wb") as log:
            running.append(
                subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
            )
        _wait_for(f"http://127.0.0.1:{port}/v2/", running[-1], folder / "log")
        return f"127.0.0.1:{port}"

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - loopback
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text())


@pytest.fixture(scope="session")
def registry(start_registry: Callable[..., str]) -> str:
    """Return a registry that lets everybody in."""
    return start_registry()


@pytest.fixture(scope="session")
def locked_registry(start_registry: Callable[..., str]) -> str:
    """Return a registry that wants a name and a password."""
    return start_registry(password=True)


@dataclass
class Faulty:
    """A registry that keeps what it gets, and fails where it is told to."""

    port: int = 0
    server: Any = None
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: dict[str, deque[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    """By method: what to answer instead of doing anything."""
    cut_after: deque[int] = field(default_factory=deque)
    """The next bodies that are longer break off after so many bytes, which are kept."""
    cut_answers: deque[int] = field(default_factory=deque)
    """The next blobs that are asked for break off after so many bytes."""
    forgets: bool = False
    """Whether a cut upload is gone."""
    lost: int = 0
    """So many uploads are forgotten before anything comes."""
    chunk_headers: dict[str, str] = field(default_factory=dict)
    chunks: bool = True
    lists_referrers: bool = False
    """Whether it knows of the API for referrers (distribution-spec 1.1)."""
    largest: int = 1 << 40
    tokens: deque[str] = field(default_factory=deque)
    """What the token server hands out; any of them is refused once the next is out. Empty: no tokens."""
    current: str = ""
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    """What the token server was asked."""
    shown: list[str] = field(default_factory=list)
    """Authorization headers that the token server saw."""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def count(self, method: str) -> int:
        return sum(line.startswith(f"{method} ") for line in self.log)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Faulty

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

    def body(self) -> tuple[bytes, bool]:
        """Return what came, and whether it was all."""
        length = int(self.headers.get("Content-Length") or 0)
        if self.state.cut_after and length > self.state.cut_after[0]:
            return self.rfile.read(self.state.cut_after.popleft()), False
        return self.rfile.read(length), True

    def do(self) -> None:
        """Answer anything."""
        state, parts = self.state, urlsplit(self.path)
        query = parse_qs(parts.query)
        if parts.path == "/token":
            self.token(query)
            return
        state.log.append(f"{self.command} {parts.path}")
        state.headers.append(dict(self.headers.items()))
        if self.refused_without_token():
            return
        if state.answers.get(self.command):
            self.body()
            self.answer(*state.answers[self.command].popleft())
            return
        for pattern, handle in (
            (r"/v2/", lambda: self.answer(200)),
            (r"/v2/(.+)/blobs/uploads/", lambda name: self.open_upload(name, query)),
            (r"/v2/(.+)/blobs/uploads/(\w+)", lambda name, key: self.upload(name, key, query)),
            (r"/v2/(.+)/blobs/(sha256:\w+)", self.blob),
            (r"/v2/(.+)/manifests/(.+)", self.manifest),
            (r"/v2/(.+)/referrers/(sha256:\w+)", self.referrers),
        ):
            if found := re.fullmatch(pattern, parts.path):
                handle(*found.groups())
                return
        self.answer(404)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do  # noqa: N815 - http.server's names

    def token(self, query: dict[str, list[str]]) -> None:
        state = self.state
        if self.command == "POST":
            query = parse_qs(self.body()[0].decode())
        state.asked.append(query)
        state.shown.append(self.headers.get("Authorization", ""))
        if not state.tokens:
            self.answer(401)
            return
        state.current = state.tokens.popleft()
        self.answer(200, body=json.dumps({"token": state.current}).encode())

    def refused_without_token(self) -> bool:
        state = self.state
        if not (state.tokens or state.current):
            return False
        if state.current and self.headers.get("Authorization") == f"Bearer {state.current}":
            return False
        self.body()
        realm = f'Bearer realm="http://{state.host}/token",service="faulty",scope="x"'
        self.answer(401, {"WWW-Authenticate": realm})
        return True

    def blob(self, name: str, digest: str) -> None:
        found = self.state.blobs.get((name, digest))
        if found is None or self.command == "HEAD":
            self.answer(404 if found is None else 200)
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(found) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(found) - 1}/{len(found)}")
        self.end_headers()
        cut = self.state.cut_answers.popleft() if self.state.cut_answers else None
        self.wfile.write(found[start : cut and start + cut])
        self.close_connection = cut is not None

    def open_upload(self, name: str, query: dict[str, list[str]]) -> None:
        state = self.state
        digest, source = query.get("mount", [""])[0], query.get("from", [""])[0]
        if (source, digest) in state.blobs:
            state.blobs[name, digest] = state.blobs[source, digest]
            self.answer(201, {"Location": f"/v2/{name}/blobs/{digest}"})
            return
        key = uuid.uuid4().hex
        state.uploads[key] = bytearray()
        self.answer(202, {"Location": f"/v2/{name}/blobs/uploads/{key}?_state=1", **state.chunk_headers})

    def upload(self, name: str, key: str, query: dict[str, list[str]]) -> None:
        state = self.state
        kept = state.uploads.get(key)
        if kept is None or state.lost > 0:
            state.lost -= kept is not None
            self.body()
            self.answer(404)
        elif self.command == "GET":
            self.answer(204, {"Location": self.path, "Range": f"0-{max(len(kept) - 1, 0)}"})
        elif int(self.headers.get("Content-Length") or 0) > state.largest:
            self.close_connection = True
            self.answer(413, {"Connection": "close"})
        elif self.command == "PATCH" and not self.fits(kept):
            self.body()
            self.answer(416)
        else:
            self.take(name, key, query)

    def fits(self, kept: bytearray) -> bool:
        start = self.headers.get("Content-Range", "0-").partition("-")[0]
        return self.state.chunks and int(start) == len(kept)

    def take(self, name: str, key: str, query: dict[str, list[str]]) -> None:
        state = self.state
        data, whole = self.body()
        state.uploads[key] += data
        if not whole:
            if state.forgets:
                del state.uploads[key]
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif self.command == "PATCH":
            self.answer(202, {"Location": self.path})
        elif digest_of(found := bytes(state.uploads.pop(key))) == query["digest"][0]:
            state.blobs[name, query["digest"][0]] = found
            self.answer(201)
        else:
            self.answer(400, body=b'{"errors": [{"code": "DIGEST_INVALID", "message": "not so"}]}')

    def referrers(self, name: str, digest: str) -> None:
        if not self.state.lists_referrers:
            self.answer(404)
            return
        listed = {
            key: json.loads(data)
            for key, data in self.state.manifests.items()
            if key.startswith(f"{name}@") and json.loads(data).get("subject", {}).get("digest") == digest
        }
        found = [
            {
                "mediaType": one["mediaType"],
                "digest": key.partition("@")[2],
                "size": len(self.state.manifests[key]),
                "artifactType": one["artifactType"],
            }
            for key, one in listed.items()
        ]
        page = int(parse_qs(urlsplit(self.path).query).get("page", ["0"])[0])
        kind = "application/vnd.oci.image.index.v1+json"
        body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": found[page : page + 1]})
        more = {"Link": f'</v2/{name}/referrers/{digest}?page={page + 1}>; rel="next"'}
        self.answer(200, {"Content-Type": kind, **(more if page + 1 < len(found) else {})}, body.encode())

    def manifest(self, name: str, reference: str) -> None:
        state = self.state
        if self.command == "HEAD":
            self.answer(200 if f"{name}@{reference}" in state.manifests else 404)
            return
        if self.command == "GET":
            at = "@" if reference.startswith("sha256:") else ":"
            found = state.manifests.get(f"{name}{at}{reference}")
            self.answer(404 if found is None else 200, body=found or b"")
            return
        data, _ = self.body()
        parsed = json.loads(data)
        needed = [one["digest"] for one in [*parsed.get("layers", []), parsed.get("config", {})] if one]
        if any((name, digest) not in state.blobs for digest in needed):
            self.answer(400, body=b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "no"}]}')
            return
        state.manifests[f"{name}:{reference}"] = state.manifests[f"{name}@{digest_of(data)}"] = data
        self.answer(201, {"Docker-Content-Digest": digest_of(data)})


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Leave alone who hangs up, as clients do that do not trust a certificate."""


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    """Yield a registry that misbehaves on demand."""
    state = Faulty()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    server.daemon_threads = True
    state.port = server.server_address[1]
    state.server = server
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
