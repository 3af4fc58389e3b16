"""What a bar shows while Docker pulls, and for which platform it is asked to."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cog_nix.image.failures import ImageNotPulledError
from cog_nix.report import SilentReporter
from cog_nix.system.platforms import AMD64, ARM64, Platform
from cog_nix_hooks.docker.pulling import PullProgress
from cog_nix_hooks.docker.runtime import DockerRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Bar:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.done, self.total = 0, 0

    def advance(self, amount: int) -> None:
        self.done += amount
        assert self.done <= self.total

    def describe(self, text: str) -> None:
        raise AssertionError(text)

    def expect(self, total: int) -> None:
        self.total = total


def fetching(name: str, current: int, total: int) -> dict[str, Any]:
    return {"id": name, "status": "Downloading", "progressDetail": {"current": current, "total": total}}


def done(name: str) -> dict[str, Any]:
    return {"id": name, "status": "Download complete", "progressDetail": {}}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"status": "Pulling from you/model", "id": "latest"}], (0, 0)),
        ([fetching("a", 10, 100)], (10, 100)),
        ([fetching("a", 10, 100), fetching("b", 5, 50), fetching("a", 60, 100)], (65, 150)),
        ([fetching("a", 10, 100), done("a"), {"id": "a", "status": "Extracting"}], (100, 100)),
        ([fetching("a", 60, 100), fetching("a", 10, 100)], (60, 100)),
        ([fetching("a", 120, 100)], (100, 100)),
        ([done("a")], (0, 0)),
    ],
)
def test_the_layers_are_added_up(messages: list[dict[str, Any]], expected: tuple[int, int]) -> None:
    bar = Bar()
    progress = PullProgress(bar)
    for message in messages:
        progress.take(message)
    assert (bar.done, bar.total) == expected


class Daemon(socketserver.ThreadingUnixStreamServer):
    """A daemon of a processor, and a registry that has an image for some platforms."""

    daemon_threads = True

    def __init__(self, socket: Path) -> None:
        super().__init__(str(socket), _Handler)
        self.architecture = "arm64"
        self.there: tuple[str, ...] = ()
        self.asked: list[str] = []

    def answer(self, path: str, query: dict[str, list[str]]) -> dict[str, str]:
        if path.endswith("/version"):
            return {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": self.architecture}
        platform = query.get("platform", [""])[0]
        self.asked.append(platform)
        if (platform or f"linux/{self.architecture}") in self.there:
            return {"status": "Status: Downloaded newer image"}
        return {"error": "no matching manifest"}


class _Handler(BaseHTTPRequestHandler):
    server: Daemon

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        answer = json.dumps(self.server.answer(url.path, parse_qs(url.query))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815 - the base class's name

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return ""


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    with Daemon(tmp_path / "socket") as server:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'socket'}")
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.mark.parametrize(
    ("architecture", "there", "platform", "asked"),
    [
        pytest.param("arm64", (AMD64, ARM64), None, [""], id="its-own"),
        pytest.param("arm64", (AMD64,), None, ["", "linux/amd64"], id="nothing-else"),
        pytest.param("arm64", (AMD64, ARM64), AMD64, ["linux/amd64"], id="the-named-one"),
        pytest.param("amd64", (ARM64,), ARM64, ["linux/arm64"], id="a-foreign-one"),
    ],
)
def test_the_platform_that_is_pulled(
    daemon: Daemon,
    architecture: str,
    there: tuple[Platform, ...],
    platform: Platform | None,
    asked: list[str],
) -> None:
    daemon.architecture, daemon.there = architecture, tuple(one.name for one in there)
    DockerRuntime().pull("me/model", SilentReporter(), platform)
    assert daemon.asked == asked


@pytest.mark.parametrize(
    ("architecture", "platform", "asked"),
    [("amd64", None, [""]), ("arm64", ARM64, ["linux/arm64"]), ("arm64", None, ["", "linux/amd64"])],
)
def test_a_platform_that_is_not_there(
    daemon: Daemon, architecture: str, platform: Platform | None, asked: list[str]
) -> None:
    daemon.architecture = architecture
    with pytest.raises(ImageNotPulledError, match="no matching manifest"):
        DockerRuntime().pull("me/model", SilentReporter(), platform)
    assert daemon.asked == asked
