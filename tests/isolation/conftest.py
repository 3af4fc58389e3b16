"""What foreign code that wants to get out is told of this machine, and what it may find."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
PROBE = ROOT / "tests/probes/escape.py"
PLAIN_USER = 12345
_MARK = "ESCAPE "
_PATIENT = "import time; time.sleep(3600)"


@dataclass(frozen=True)
class Outcome:
    """What a run of the probes came to."""

    worked: Mapping[str, Any]
    refused: Mapping[str, str]
    state: Mapping[str, str]

    @classmethod
    def read(cls, text: str) -> Outcome:
        """Find it in what was printed."""
        lines = [line.partition(_MARK)[2] for line in text.splitlines() if _MARK in line]
        assert lines, text[-3000:]
        return cls(**json.loads(lines[-1]))


@dataclass(frozen=True)
class Machine:
    """Things of this machine that foreign code must not reach, and should be told of to try."""

    facts: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The facts as the probes take them."""
        return json.dumps(self.facts)


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="cog-nix-canary-"))
    folder.chmod(0o755)
    (folder / "canary").write_text("must not be read")
    (folder / "canary").chmod(0o666)
    name = f"cog-nix-canary-{os.getpid()}"
    waiting = subprocess.Popen([sys.executable, "-c", _PATIENT])
    with socket.socket(socket.AF_UNIX) as abstract, socket.create_server(("127.0.0.1", 0)) as server:
        abstract.bind(f"\0{name}")
        abstract.listen()
        accepting = threading.Thread(target=_accept, args=(server,), daemon=True)
        accepting.start()
        yield Machine(
            {
                "file": str(folder / "canary"),
                "abstract": name,
                "port": server.getsockname()[1],
                "pid": waiting.pid,
                "pid_says": sys.executable,
            }
        )
    waiting.kill()
    waiting.wait()
    shutil.rmtree(folder)


def _accept(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


@dataclass(frozen=True)
class Person:
    """A user of this machine, and how she starts a Python that has what ours has."""

    uid: int
    python: str

    @property
    def packages(self) -> str:
        return os.pathsep.join([str(ROOT), str(ROOT / "hooks"), sysconfig.get_paths()["purelib"]])

    def run(self, *arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
        who: dict[str, Any] = {"user": self.uid, "group": self.uid, "extra_groups": []} if self.uid else {}
        return subprocess.run(
            [self.python, "-B", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": self.packages, "HOME": str(cwd), "TMPDIR": str(cwd), **env},
            capture_output=True,
            text=True,
            check=False,
            **who,
        )


@pytest.fixture(scope="session", params=[pytest.param(0, id="root"), pytest.param(PLAIN_USER, id="user")])
def person(request: pytest.FixtureRequest, readable_python: str) -> Person:
    return Person(request.param, readable_python if request.param else sys.executable)


@pytest.fixture
def home(person: Person) -> Iterator[Path]:
    """Return a folder of the person's own, which pytest's are not."""
    made = Path(tempfile.mkdtemp(prefix="cog-nix-isolation-"))
    made.chmod(0o755)
    os.chown(made, person.uid, person.uid)
    yield made
    subprocess.run(["chmod", "-R", "u+w", str(made)], check=False, capture_output=True)
    shutil.rmtree(made, ignore_errors=True)
