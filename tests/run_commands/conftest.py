"""A project whose commands use the network, built once: from a server on the loopback."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import copy_project

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = Path(__file__).parent / "projects"
SECRET = "correct-horse-battery-staple"  # noqa: S105 - what must be found nowhere
_WHEEL = {
    "tiny.py": "NAME = 'tiny'\n",
    "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\n"
    "Tag: py3-none-any\n",
    "tiny-1.0.dist-info/RECORD": "tiny.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\n"
    "tiny-1.0.dist-info/RECORD,,\n",
}


@dataclass
class Folder:
    """A copy of a project, and what its last build said."""

    path: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        modules = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
        finished = subprocess.run(
            [sys.executable, "-m", "cog_nix", *arguments],
            cwd=self.path,
            env={**os.environ, "PYTHONPATH": modules},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and finished.returncode:
            pytest.fail(f"cog-nix {' '.join(arguments)} ended with {finished.returncode}\n{finished.stderr}")
        return finished

    def commands(self, *commands: str) -> None:
        """Replace the commands of ``build.run``."""
        lines = "".join(f"    - {command}\n" for command in commands)
        text = f'build:\n  python_version: "3.13"\n  run:\n{lines}run: "run.py:Runner"\n'
        (self.path / "cog.yaml").write_text(text)

    @property
    def lock(self) -> str:
        return (self.path / "cog-nix.lock").read_text()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="session")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve a Git repository and a wheel; return where."""
    folder = tmp_path_factory.mktemp("served")
    work = folder / "work"
    work.mkdir()
    (work / "seven.c").write_text("int main(void) { return 7; }\n")
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", *arguments], cwd=work, check=True)
    subprocess.run(["git", "clone", "-q", "--bare", "work", "repo.git"], cwd=folder, check=True)
    subprocess.run(["git", "update-server-info"], cwd=folder / "repo.git", check=True)
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in _WHEEL.items():
            wheel.writestr(name, text)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[tuple[Folder, str, str]]:
    """Return the project of all kinds of commands, its image's name, and what building it said."""
    path = copy_project(PROJECTS / "commands", tmp_path_factory.mktemp("runs") / "commands")
    config = path / "cog.yaml"
    config.write_text(config.read_text().replace("@PORT@", str(port)))
    (path / "token").write_text(f"{SECRET}\n")
    (path / ".dockerignore").write_text("token\n")
    folder = Folder(path)
    said = folder.run("build", "-t", "cog-nix-test-commands", "--secret", "id=token,src=token").stderr
    yield folder, "cog-nix-test-commands", said
    subprocess.run(["docker", "rmi", "cog-nix-test-commands"], check=False, capture_output=True)


@pytest.fixture
def plain(tmp_path: Path, built: tuple[Folder, str, str]) -> Folder:
    """Return a project that resolves to what the other one runs on, so that nothing is built twice."""
    path = tmp_path / "plain"
    path.mkdir()
    shutil.copy(built[0].path / "run.py", path)
    shutil.copy(built[0].path / "cog-nix.lock", path)
    return Folder(path)
