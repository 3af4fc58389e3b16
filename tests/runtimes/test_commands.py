"""``exec``, ``serve`` and ``train`` as users run them, in each runtime."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from cog_nix.check import project_path
from cog_nix.system.paths import cache_dir
from conftest import EXAMPLES, ROOT, cog_nix, copy_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network]

COMMAND = [sys.executable, "-m", "cog_nix", "-q"]
PATHS = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))


@pytest.fixture(params=[pytest.param("docker", marks=pytest.mark.docker), "podman", "bundle"], autouse=True)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The runtime that the commands of a test use."""
    if request.param == "podman":
        request.getfixturevalue("podman_host")
    monkeypatch.setenv("COG_NIX_RUNTIME", request.param)
    return str(request.param)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mounted") / "cog-nix-test-mounted"
    return copy_project(EXAMPLES / "hello-world", folder)


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


def test_a_command_sees_the_project_and_keeps_what_it_writes(project: Path) -> None:
    script = "import os, sys; print(os.getcwd(), os.environ['A']); print('to stderr', file=sys.stderr)"
    done = execute(project, "-e", "A=b c", "python", "-c", f"{script}; open('made', 'w').write('kept')")
    assert (done.returncode, done.stdout) == (0, "/src b c\n")
    assert "to stderr\n" in done.stderr
    assert (project / "made").read_text() == "kept"


def test_piped_input_and_options_of_the_command(project: Path) -> None:
    done = execute(project, "sort", "-r", "--", "-", given="a\nc\nb\n")
    assert (done.returncode, done.stdout) == (0, "c\nb\na\n")


def test_a_failing_command(project: Path) -> None:
    done = execute(project, "sh", "-c", "exit 3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("error: container exited with status 3\n")


def test_a_predictor_that_cannot_be_described_does_not_keep_a_command_from_running(
    project: Path, tmp_path: Path
) -> None:
    broken = copy_project(project, tmp_path / "cog-nix-test-broken", locked=True)
    (broken / "run.py").write_text("class Runner:\n    def run(a): ...\n")
    done = execute(broken, "cat", "run.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("class Runner")
    assert "The command runs all the same" in done.stderr


def test_a_terminal_of_its_own(project: Path) -> None:
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
def test_a_model_is_served_until_it_is_told_to_stop(name: str, project: Path, ending: signal.Signals) -> None:
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
    assert "Traceback" not in said
    assert left_behind(name, server.pid) == ""


def left_behind(name: str, owner: int) -> str:
    """Return what a process left of its container."""
    if name == "bundle":
        folder = cache_dir() / "bundle" / "containers"
        return " ".join(path.name for path in folder.glob(f"cog-nix-{owner}-*"))
    program = ["podman", "--url", os.environ["CONTAINER_HOST"]] if name == "podman" else ["docker"]
    owned = [*program, "ps", "-aq", "--filter", f"label=run.cog.nix.owner={owner}"]
    return subprocess.run(owned, capture_output=True, text=True, check=True).stdout


def test_ctrl_c_without_a_terminal_of_its_own(project: Path) -> None:
    """What a shell does with Ctrl-C in a pipeline: every process of the group gets the signal."""
    script = (
        "import sys, time\n"
        "try: print('up', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt: print('once', flush=True); time.sleep(0.5); sys.exit(9)"
    )
    with subprocess.Popen(
        [*COMMAND, "exec", "python", "-c", script],
        cwd=project,
        env={**os.environ, "PYTHONPATH": PATHS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        os.killpg(running.pid, signal.SIGINT)
        out, said = running.communicate(timeout=60)
    assert (running.returncode, out) == (-signal.SIGINT, "once\n")
    assert "Traceback" not in said


def test_a_training_leaves_its_weights(tmp_path: Path) -> None:
    project = copy_project(project_path("trainer"), tmp_path / "cog-nix-test-trainer")
    done = cog_nix("train", "-i", "data=ab", "-i", "epochs=2", cwd=project)
    assert "training 2 times" in done.stderr
    written = json.loads((project / "weights").read_text())
    assert written["weights"].startswith("data:text/plain;base64,YWJhYg==")


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
