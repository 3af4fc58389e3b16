"""``exec`` and ``serve`` as users run them, and the parts of them that need no image."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from cog_nix import shim
from cog_nix.cli import exec as exec_command
from cog_nix.cli import mounted, predict, serve
from cog_nix.cli.app import run
from cog_nix.errors import CogNixError
from conftest import EXAMPLES, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "cog_nix", "-q"]
PATHS = os.pathsep.join(str(ROOT / part) for part in ("", "hooks", "compat-tests"))


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("8000", ("127.0.0.1", 8000, 8000)),
        ("0.0.0.0:80", ("0.0.0.0", 80, 80)),  # noqa: S104 - a value, nothing is bound
        ("::1:80", ("::1", 80, 80)),
        ("[::1]:65535", ("::1", 65535, 65535)),
    ],
)
def test_ports(text: str, port: tuple[str, int, int]) -> None:
    assert exec_command.parse_port(text) == port


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "value cannot be empty"),
        ("[::1", "missing closing bracket for IPv6 address"),
        ("[::1]", "port is required after IPv6 address"),
        ("[::1]80", "expected ':' after ']'"),
        ("[]:80", "host cannot be empty"),
        (":80", "host cannot be empty"),
        ("web", "is no number"),
        ("0", "port must be between 1 and 65535"),
        ("65536", "port must be between 1 and 65535"),
    ],
)
def test_what_is_no_port(text: str, why: str) -> None:
    with pytest.raises(CogNixError, match=f'invalid port "{text}": .*{why}'.replace("[", r"\[")):
        exec_command.parse_port(text)


@pytest.mark.parametrize(
    ("host", "shown", "reached"),
    [
        ("127.0.0.1", "http://localhost:1", "http://127.0.0.1:1"),
        ("::1", "http://localhost:1", "http://[::1]:1"),
        ("0.0.0.0", "http://0.0.0.0:1 (http://localhost:1)", "http://127.0.0.1:1"),  # noqa: S104 - as above
        ("192.0.2.1", "http://192.0.2.1:1", "http://192.0.2.1:1"),
        ("2001:db8::1", "http://[2001:db8::1]:1", "http://[2001:db8::1]:1"),
    ],
)
def test_where_it_is_served(host: str, shown: str, reached: str) -> None:
    assert (serve.serving_at(host, 1), serve.target(host, 1)) == (shown, reached)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["exec", "-p", "web", "ls"], 'invalid port "web"'),
        (["serve", "--host", "everywhere"], "--host everywhere: this is no IP address."),
        (["exec", "--dockerfile", "x", "ls"], "cog-nix builds without a Dockerfile"),
    ],
    ids=["port", "host", "dockerfile"],
)
def test_what_is_wrong_is_told_before_anything_is_built(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict, "find_runtime", lambda: pytest.fail("too late"))
    assert run(arguments) == 1
    assert said in capfd.readouterr().err


def test_the_playground_is_upstreams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(predict, "find_runtime", lambda: pytest.fail("too late"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(shim.UPSTREAM, raising=False)
    assert run(["serve", "--playground", "--playground-port", "8393"]) == 1
    assert "playground port 8393 must differ from the model port 8393" in capfd.readouterr().err
    assert run(["serve", "--playground"]) == 1
    assert "`serve --playground` is left to Replicate's cog" in capfd.readouterr().err
    seen = tmp_path / "seen"
    (tmp_path / "cog").write_text(f'#!/bin/sh\necho "$@" > {seen}\nexec /bin/sleep 60\n')
    (tmp_path / "cog").chmod(0o755)
    monkeypatch.setattr(predict, "find_runtime", lambda: None)
    monkeypatch.setattr(
        mounted, "prepare", lambda *_, **__: mounted.Mounted("model", tmp_path, has_gpu=False)
    )

    def served(*_: object) -> int:
        deadline = time.monotonic() + 30
        while not (seen.exists() and seen.read_text().endswith("\n")) and time.monotonic() < deadline:
            time.sleep(0.02)
        return 0

    monkeypatch.setattr(serve, "_run", served)
    assert run(["serve", "--playground", "--playground-port", "0", "-p", "81"]) == 0
    wanted = "playground --no-open --target http://127.0.0.1:81 --host 0.0.0.0 --port 0\n"
    assert seen.read_text() == wanted


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mounted") / "cog-nix-test-mounted"
    return shutil.copytree(EXAMPLES / "hello-world", folder)


def execute(project: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "exec", *arguments],
        cwd=project,
        input=given,
        env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.docker
@pytest.mark.nix
@pytest.mark.network
class TestImages:
    def test_a_command_sees_the_project_and_keeps_what_it_writes(self, project: Path) -> None:
        script = "import os, sys; print(os.getcwd(), os.environ['A']); print('to stderr', file=sys.stderr)"
        done = execute(project, "-e", "A=b c", "python", "-c", f"{script}; open('made', 'w').write('kept')")
        assert (done.returncode, done.stdout) == (0, "/src b c\n")
        assert "to stderr\n" in done.stderr
        assert (project / "made").read_text() == "kept"

    def test_piped_input_and_options_of_the_command(self, project: Path) -> None:
        done = execute(project, "sort", "-r", "--", "-", given="a\nc\nb\n")
        assert (done.returncode, done.stdout) == (0, "c\nb\na\n")

    def test_a_failing_command(self, project: Path) -> None:
        done = execute(project, "sh", "-c", "exit 3")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith("error: container exited with status 3\n")

    def test_a_predictor_that_cannot_be_described_does_not_keep_a_command_from_running(
        self, project: Path, tmp_path: Path
    ) -> None:
        broken = shutil.copytree(project, tmp_path / "cog-nix-test-broken", symlinks=True)
        (broken / "predict.py").write_text("class Predictor:\n    def predict(self, a): ...\n")
        done = execute(broken, "cat", "predict.py")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("class Predictor")
        assert "The command runs all the same" in done.stderr

    def test_a_terminal_of_its_own(self, project: Path) -> None:
        script = "import sys; print(sys.stdin.isatty()); print(input()); input()"
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(project)
            os.environ["PYTHONPATH"] = PATHS
            os.execv(sys.executable, [*COMMAND, "exec", "python", "-c", script])  # noqa: S606 - as wanted
        seen = _until(terminal, b"True\r\n")
        os.write(terminal, b"typed\n")
        seen += _until(terminal, b"typed\r\ntyped\r\n")
        os.write(terminal, b"\x03")  # the container's terminal makes the signal of it, not this one
        seen += _until(terminal, b"exited with status")
        _, status = os.waitpid(process, 0)
        os.close(terminal)
        assert b"KeyboardInterrupt" in seen
        assert os.waitstatus_to_exitcode(status) == 1

    @pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
    def test_a_model_is_served_until_it_is_told_to_stop(self, project: Path, ending: signal.Signals) -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
        server = subprocess.Popen(
            [*COMMAND, "serve", "-p", str(port)],
            cwd=project,
            env={**os.environ, "PYTHONPATH": PATHS},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", server)
            document = httpx.get(f"http://127.0.0.1:{port}/openapi.json", trust_env=False).json()
            assert document == json.loads((project / ".cog/openapi_schema.json").read_text())
            body = {"input": {"text": "served"}}
            answer = httpx.post(f"http://127.0.0.1:{port}/predictions", json=body, trust_env=False).json()
            assert answer["status"] == "succeeded"
            assert "served" in answer["output"]
        finally:
            server.send_signal(ending)
            _, said = server.communicate(timeout=60)
        assert server.returncode == 0, said
        owned = ["docker", "ps", "-aq", "--filter", f"label=run.cog.nix.owner={server.pid}"]
        assert subprocess.run(owned, capture_output=True, text=True, check=True).stdout == ""


def _wait_until_ready(url: str, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert server.poll() is None, server.communicate()[1]
        try:
            if httpx.get(f"{url}/health-check", trust_env=False).json()["status"] == "READY":
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    pytest.fail("it never became ready")


def _until(terminal: int, sign: bytes) -> bytes:
    seen = b""
    for data in _read(terminal):
        seen += data
        if sign in seen:
            return seen
    pytest.fail(f"{sign!r} never came, but {seen!r}")


def _read(terminal: int) -> Iterator[bytes]:
    while select.select([terminal], [], [], 300)[0]:
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # Linux answers EIO when the other end is closed
            return
        yield data
