"""A loopback mirror of CPython builds, and a build for it that is made of a CPython of this machine."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import PythonSettings, Settings
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter

from .repackage import repackage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .repackage import Archive

_DEBIANS_OWN = "3.13"
"""What trixie has itself; the archive has to be of another version to be of use."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Mirror:
    """A folder behind a loopback server, and a list of builds in it for uv."""

    url: str
    folder: Path
    listed: dict[str, dict[str, object]] = field(default_factory=dict)

    def add(self, version: str, content: bytes, **changes: object) -> str:
        """Put a build up and list it; return its sha256."""
        name = f"cpython-{version}-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
        (self.folder / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        major, minor, patch = map(int, version.split("."))
        self.listed[f"cpython-{version}-linux-x86_64-gnu"] = {
            "name": "cpython",
            "arch": {"family": "x86_64", "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": major,
            "minor": minor,
            "patch": patch,
            "prerelease": "",
            "url": f"{self.url}/{name}",
            "sha256": sha256,
            "variant": None,
            "build": "20260101",
            **changes,
        }
        (self.folder / "list.json").write_text(json.dumps(self.listed))
        return sha256

    @property
    def environment(self) -> dict[str, str]:
        """The variable that makes uv know these builds and no others."""
        return {"UV_PYTHON_DOWNLOADS_JSON_URL": str(self.folder / "list.json")}


@pytest.fixture(scope="session")
def start_mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Mirror]]:
    """Return a function that starts an empty mirror."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start() -> Mirror:
        folder = tmp_path_factory.mktemp("mirror")
        handler = functools.partial(_Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return Mirror(f"http://127.0.0.1:{server.server_port}", folder)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mirror(start_mirror: Callable[[], Mirror]) -> Mirror:
    """Return an empty mirror."""
    return start_mirror()


@pytest.fixture
def context_for(tmp_path: Path) -> Callable[..., Context]:
    """Return a function that makes a context with an empty cache."""

    def make(mirror: str | None = None) -> Context:
        reporter = SilentReporter()
        policy = RetryPolicy(attempts=1)
        fetcher = CachingFetcher(tmp_path / "cache", reporter, policy=policy)
        return Context(Settings(python=PythonSettings(mirror=mirror)), fetcher, reporter, tmp_path / "cache")

    return make


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Return a CPython of this machine as an archive of the kind that uv lists."""
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    interpreter = Path(sys.base_prefix) / f"bin/python{minor}"
    if minor == _DEBIANS_OWN:
        interpreter = Path("/usr/bin/python3.11")
    if not interpreter.exists():
        pytest.skip("the only CPython here is of the version that Debian 13 has itself")
    return repackage(interpreter, tmp_path_factory.mktemp("archive") / "cpython.tar.gz")
