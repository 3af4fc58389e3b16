"""What Cog's server sends to a collector of traces: from an image, and from an environment that pip made."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from cog_nix.config.environment import TRACING_REQUIREMENTS
from cog_nix.image.description import ImageDescription
from cog_nix.plugins.manager import find_runtime
from cog_nix.plugins.spec import ContainerRequest, ExaminedRuntime
from cog_nix.report import SilentReporter
from cog_nix.runtime.health import wait_until_ready
from conftest import cog_nix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.root]

SDK = "0.23.1"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
MODEL = """\
from cog import BaseRunner
from opentelemetry import trace


class Runner(BaseRunner):
    def run(self) -> str:
        with trace.get_tracer("model").start_as_current_span("greeting") as span:
            return f"{span.get_span_context().trace_id:032x}"
"""
CONFIG = """\
build:
  python_version: "3.13"
run: "run.py:Runner"
observability:
  traces:
    enabled: true
"""


class Collector(ThreadingHTTPServer):
    """Takes spans (OTLP/HTTP), and keeps them as they come."""

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.bodies: list[bytes] = []

    def wait_for(self, *parts: bytes) -> None:
        """Wait until all of these have come."""
        deadline = time.monotonic() + 30
        while missing := [part for part in parts if not any(part in body for body in self.bodies)]:
            assert time.monotonic() < deadline, missing
            time.sleep(0.1)


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf":
            self.server.bodies.append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collector(address: str = "127.0.0.1") -> Iterator[Collector]:
    with Collector(address) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traces") / "cog-nix-test-traces"
    folder.mkdir()
    (folder / "run.py").write_text(MODEL)
    (folder / "cog.yaml").write_text(CONFIG)
    cog_nix("build", "--no-load", cwd=folder)
    return folder


def variables(host: str, server: Collector) -> dict[str, str]:
    """Return what a pod would set."""
    return {
        "OTEL_SERVICE_NAME": "greeter",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{host}:{server.server_address[1]}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }


def ask(url: str, *, sampled: bool) -> None:
    """Ask for a prediction as a part of a trace, which the model sees."""
    header = {"traceparent": f"00-{TRACE}-{CALLER}-{'01' if sampled else '00'}"}
    said = httpx.post(f"{url}/predictions", json={"input": {}}, headers=header, timeout=30).json()
    assert said["output"] == TRACE


def judge(url: str, server: Collector) -> None:
    """Expect spans of the server, its worker and the model, below the caller's, and none unasked."""
    ask(url, sampled=False)
    ask(url, sampled=True)
    server.wait_for(b"POST /predictions", b"cog.prediction.invoke", b"greeting", bytes.fromhex(CALLER))
    for body in server.bodies:
        assert bytes.fromhex(TRACE) in body
        assert b"greeter" in body
    assert sum(body.count(b"POST /predictions") for body in server.bodies) == 1


@pytest.mark.parametrize("name", [pytest.param("docker", marks=pytest.mark.docker), "bundle"])
def test_an_image_continues_a_trace(name: str, project: Path) -> None:
    runtime = find_runtime(name)
    runtime.load((project / "result").resolve(), ["cog-nix-test-traces"], SilentReporter())
    assert isinstance(runtime, ExaminedRuntime)
    with collector(runtime.listening_address()) as server:
        env = variables("host.docker.internal", server)
        request = ContainerRequest("cog-nix-test-traces", env=env, reach_host=True)
        with runtime.start(request) as container:
            wait_until_ready(container, 60)
            judge(container.url, server)


def test_so_does_an_environment_that_pip_made(project: Path, tmp_path: Path) -> None:
    """With the variables of the image, and the same packages."""
    uv = shutil.which("uv", path=os.path.dirname(sys.executable)) or "uv"  # noqa: PTH120
    python = tmp_path / "venv/bin/python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    packages = [f"cog=={SDK}", *TRACING_REQUIREMENTS]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
    described = ImageDescription.read((project / "result").resolve()).config["config"]["Env"]
    image = dict(line.split("=", 1) for line in described if line.startswith("COG_"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with collector() as server:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "COG_"))}
        path = {"PATH": f"{python.parent}:{os.environ['PATH']}", "PORT": str(port)}  # the worker is `python`
        env = {**own, **image, **variables("127.0.0.1", server), **path}
        with subprocess.Popen([python, "-m", "cog.server.http"], cwd=project, env=env) as serving:
            try:
                deadline = time.monotonic() + 60
                while not _ready(url):
                    assert serving.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                judge(url, server)
            finally:
                serving.terminate()
                serving.wait(30)


def _ready(url: str) -> bool:
    try:
        return bool(httpx.get(f"{url}/health-check").json()["status"] == "READY")
    except httpx.HTTPError:
        return False
