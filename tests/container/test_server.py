"""The container's first process and what stands for programs outside, with no container around them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.container import client, server

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

PYTHON = [sys.executable, "-I", "-S", "-B"]


class Served:
    """A server, and its owner's connection."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen([*PYTHON, server.__file__, str(folder)])
        self.owner = self._connect()
        self.owner.sendall(server.OWNER)
        size = int.from_bytes(server.read_exactly(self.owner, 4), "big")
        self.report = server.read_exactly(self.owner, size).decode()

    def _connect(self) -> socket.socket:
        while True:
            try:
                return client.connect(str(self.folder))
            except OSError:
                assert self.process.poll() is None
                time.sleep(0.01)

    def start(self, *command: str, **how: object) -> subprocess.Popen[str]:
        line = [*PYTHON, client.__file__, str(self.folder), *command]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **how)  # type: ignore[call-overload, no-any-return]

    def run(self, *command: str, given: str = "", **how: object) -> tuple[int, str, str]:
        process = self.start(*command, **how)
        out, err = process.communicate(given)
        return process.returncode, out, err


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    # Longer than the address of a socket may be.
    folder = tmp_path / ("a-long-name-" * 10)
    folder.mkdir()
    found = Served(folder)
    yield found
    found.owner.close()
    assert found.process.wait(30) == 0
    assert not folder.exists()


def test_streams_arguments_and_the_status_are_the_programs_own(served: Served) -> None:
    assert served.run("cat", given="in\n" * 100_000) == (0, "in\n" * 100_000, "")
    assert served.run("sh", "-c", 'echo "$1" >&2; exit 3', "sh", "a b") == (3, "", "a b\n")
    assert served.run("no-such-program") == (127, "", "no-such-program: No such file or directory\n")
    assert served.run("sh", "-c", "kill -9 $$")[0] == -signal.SIGKILL


def test_the_folder_and_the_environment_are_those_outside(served: Served, tmp_path: Path) -> None:
    given = {**os.environ, "MINE": "ü", "PATH": "/nowhere", "PYTHONPATH": "/nowhere", "USER": "ada"}
    shown = 'pwd; echo "$MINE $PATH $PYTHONPATH $USER"'
    status, out, _ = served.run("sh", "-c", shown, cwd=tmp_path, env=given)
    assert (status, out) == (0, f"{tmp_path}\nü {os.environ['PATH']}  ada\n")


def test_signals_reach_the_program(served: Served) -> None:
    process = served.start(
        "sh", "-c", "trap 'echo told; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.communicate()[0] == "told\n"
    assert process.returncode == 5


def test_a_program_ends_with_who_asked_for_it(served: Served) -> None:
    process = served.start("sh", "-c", "echo $$; exec sleep 600")
    assert process.stdout
    number = int(process.stdout.readline())
    process.kill()
    process.communicate()
    _wait_for(lambda: not Path("/proc", str(number)).exists())


def test_everything_ends_with_a_killed_owner(tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    folder.mkdir()
    owner = (
        "import sys, time; from cog_nix.container import client;"
        "c = client.connect(sys.argv[1]); c.sendall(b'o'); c.recv(1);"
        "print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([*PYTHON, server.__file__, str(folder)])
    _wait_for((folder / "socket").exists)
    root = str(Path(server.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(
        [sys.executable, "-c", owner, str(folder)], env=environment, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        assert process.poll() is None
        holder.kill()
    assert process.wait(30) == 0
    assert not folder.exists()


def test_a_program_without_a_server_says_so(tmp_path: Path) -> None:
    finished = subprocess.run(
        [*PYTHON, client.__file__, str(tmp_path), "true"], capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stderr) == (
        1,
        "cog-nix: the container that runs Nix does not answer: No such file or directory\n",
    )


def _wait_for(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
