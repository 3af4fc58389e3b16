"""What starts a server in a container, and starts it again: with this Python, and a server of the test's."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.runtime.client import ModelClient
from cog_nix.watch import inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVER = """\
import http.server, json, os, sys
sys.path.insert(0, {folder!r})
import model

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/shutdown":
            os._exit(0)
        body = json.dumps({{"status": model.status, "said": model.said}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


class Served:
    """A server that is restarted, and what was said about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = folder / "log"
        self.edit("READY", "one")
        server = folder / "server.txt"
        server.write_text(SERVER.format(folder=str(folder)))
        text = Path(inside.__file__).read_text().replace('"/src"', repr(str(folder)))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", text, str(server)],
                env={**os.environ, "PORT": str(self.port)},
                stderr=log,
            )
        self.wait_until(lambda: self.health().get("status"))

    def edit(self, status: str, said: str) -> None:
        (self.folder / "model.py").write_text(f"status, said = {status!r}, {said!r}\n")

    def restart(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def health(self) -> dict[str, str]:
        client = ModelClient(f"http://127.0.0.1:{self.port}")
        try:
            return dict(json.loads(client._request("GET", "/", timeout=5)[1]))
        except (OSError, HTTPException):  # it may end in the middle of an answer
            return {}

    def says(self, text: str) -> None:
        self.wait_until(lambda: text in self.log.read_text())

    def wait_until_said(self, said: str) -> None:
        self.wait_until(lambda: self.health().get("said") == said)

    def wait_until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not true():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server that is ready."""
    made = Served(tmp_path)
    yield made
    made.process.terminate()
    assert made.process.wait(20) == 0
    assert made.health() == {}


def test_it_serves_what_was_edited_last(served: Served) -> None:
    for said in ("two", "six", "ten"):  # of one length, and within a second
        served.edit("READY", said)
        served.restart()
        served.wait_until_said(said)
    served.says("Serving again after")
    assert not list(served.folder.rglob("__pycache__"))


def test_a_syntax_error_leaves_the_server(served: Served) -> None:
    (served.folder / "helper.py").write_text("def f(:\n")
    served.restart()
    served.says("SyntaxError: invalid syntax")
    served.says("The model goes on as it was")
    assert served.health()["said"] == "one"
    served.edit("READY", "two")
    served.restart()  # the helper is still broken
    served.wait_until(lambda: served.log.read_text().count("SyntaxError") == 2)
    assert served.health()["said"] == "one"
    (served.folder / "helper.py").write_text("def f(): pass\n")
    served.restart()
    served.wait_until(lambda: served.health().get("said") == "two")


def test_a_server_that_dies_is_started_by_the_next_edit(served: Served) -> None:
    (served.folder / "model.py").write_text("raise RuntimeError('no')\n")
    served.restart()
    served.says("RuntimeError: no")
    served.says("The server has ended with status 1; the next edit starts it again.")
    served.edit("READY", "back")
    served.restart()
    served.wait_until(lambda: served.health().get("said") == "back")


def test_a_failed_setup_is_told(served: Served) -> None:
    served.edit("SETUP_FAILED", "no")
    served.restart()
    served.says("The model's setup failed; the next edit starts it again.")


def test_a_shutdown_ends_it(tmp_path: Path) -> None:
    served = Served(tmp_path)
    with pytest.raises(HTTPException):
        ModelClient(f"http://127.0.0.1:{served.port}")._request("GET", "/shutdown", timeout=5)
    assert served.process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_and_the_server(tmp_path: Path, number: int) -> None:
    served = Served(tmp_path)
    served.process.send_signal(number)
    assert served.process.wait(20) == 0
    assert served.health() == {}


def test_it_is_readable_for_old_pythons() -> None:
    ast.parse(Path(inside.__file__).read_text(), feature_version=(3, 7))
