"""`serve --watch`: real models, edited while they are served."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import CogNixError
from cog_nix.runtime.client import ModelClient
from conftest import EXAMPLES, ROOT, cog_nix, copy_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.nix]


PROGRAM = (sys.executable, "-m", "cog_nix")


class Edited:
    """hello-world, served and edited.

    Args:
        root: the project, which is built.
        runtime: where it is served.
        flags: of `serve`.
        terminal: whether it has one.
    """

    def __init__(self, root: Path, runtime: str, *flags: str, terminal: bool = False) -> None:
        self.root = root
        self.source = root / "run.py"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.keys: int | None = None
        own: int | None = None
        if terminal:
            self.keys, own = pty.openpty()
        self.log = root.parent / f"{root.name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "--runtime", runtime, "serve", "--watch", "-p", str(self.port), *flags],
                cwd=root,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))},
                stdin=subprocess.DEVNULL if own is None else own,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if own is not None:
            os.close(own)

    def answer(self, text: object = "you") -> Any:
        """Return what the model answers; None: it does not."""
        with suppress(CogNixError, OSError, HTTPException):
            return ModelClient(f"http://127.0.0.1:{self.port}").predict({"text": text}).output
        return None

    def answers(self, expected: str, text: object = "you") -> float:
        """Wait for an answer; return how many seconds that took."""
        began = time.monotonic()
        self.wait_until(lambda: self.answer(text) == expected)
        return time.monotonic() - began

    def edit(self, before: str, after: str) -> None:
        text = self.source.read_text()
        assert before in text
        self.source.write_text(text.replace(before, after))

    def says(self, text: str) -> None:
        self.wait_until(lambda: text in self.log.read_text(errors="replace"))

    def wait_until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not true():
            said = self.log.read_text(errors="replace")[-3000:]
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def close(self) -> None:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0, self.log.read_text(errors="replace")[-3000:]
        assert self.answer() is None
        if self.keys is not None:
            os.close(self.keys)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of examples/hello-world with its lock."""
    made = copy_project(EXAMPLES / "hello-world", tmp_path / "cog-nix-test-watched")
    (made / "requirements.txt").write_text("# nothing yet\n")
    with (made / "cog.yaml").open("a") as config:
        config.write("\n")
    text = (made / "cog.yaml").read_text()
    (made / "cog.yaml").write_text(
        text.replace("build:\n", "build:\n  python_requirements: requirements.txt\n")
    )
    cog_nix("lock", cwd=made)
    return made


@pytest.fixture
def serve(root: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Edited]]:
    """Serve the copy; it has to end well."""
    made: list[Edited] = []

    def start(*arguments: Any, **more: Any) -> Edited:
        if arguments[0] == "podman":
            request.getfixturevalue("podman_host")
        made.append(Edited(root, *arguments, **more))
        return made[-1]

    yield start
    for one in made:
        one.close()


RUNTIMES = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("podman", marks=pytest.mark.docker),
    "bundle",
]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_edits_are_served(serve: Callable[..., Edited], runtime: str) -> None:
    served = serve(runtime)
    served.answers("hello you")
    served.edit('"hello"', '"salut"')
    print("edit to answer:", served.answers("salut you"))  # noqa: T201 - shown with -s
    served.says("run.py changed")
    served.says("Serving again after")

    served.edit("class Runner(", "class Runner((")
    served.says("run.py:4: failed to parse Python source")
    assert served.answer() == "salut you"
    served.edit("class Runner((", "class Runner(")
    served.edit('"salut"', '"ciao"')
    served.answers("ciao you")

    served.edit("text: str", "text: int")
    served.says("  input text changed")
    served.answers("ciao 5", 5)
    schema = json.loads((served.root / ".cog/openapi_schema.json").read_text())
    assert schema["components"]["schemas"]["Input"]["properties"]["text"]["type"] == "integer"

    served.edit("def setup(self) -> None:\n", "def setup(self) -> None:\n        raise ValueError('boom')\n")
    served.says("The model's setup failed")
    served.says("boom")
    served.edit("        raise ValueError('boom')\n", "")
    served.answers("ciao 6", 6)
    assert not list(served.root.rglob("__pycache__"))


def test_a_change_of_requirements_is_told(serve: Callable[..., Edited]) -> None:
    served = serve("bundle")
    served.answers("hello you")
    requirements = served.root / "requirements.txt"
    requirements.write_text("six==1.17.0\n")
    served.says("requirements.txt changed; the model runs in the image from before")
    assert served.answer() == "hello you"
    requirements.write_text("# nothing yet\n")
    served.says("requirements.txt: as it was when the image was built")


USE = "        import six\n        self.greeting = six.__version__\n"


@pytest.mark.parametrize("runtime", [RUNTIMES[0], RUNTIMES[2]])
def test_a_change_of_requirements_swaps_the_container_when_asked(
    serve: Callable[..., Edited], runtime: str
) -> None:
    served = serve(runtime, "--update-lock")
    served.answers("hello you")
    requirements = served.root / "requirements.txt"
    requirements.write_text("six==no-version\n")
    served.says("error: ")
    assert served.answer() == "hello you"
    requirements.write_text("six==1.17.0\n")
    served.says("Swapping the container")
    served.answers("hello you")
    served.edit('        self.greeting = "hello"\n', USE)
    served.answers("1.17.0 you")
    assert "six" in (served.root / "cog-nix.lock").read_text()


def test_enter_swaps_the_container(serve: Callable[..., Edited]) -> None:
    served = serve("bundle", terminal=True)
    served.answers("hello you")
    served.edit('        self.greeting = "hello"\n', USE)
    served.says("ModuleNotFoundError: No module named 'six'")
    (served.root / "requirements.txt").write_text("six==1.17.0\n")
    served.says("press Enter to lock, build and swap the container")
    assert served.keys is not None
    os.write(served.keys, b"\n")
    served.says("Swapping the container")
    served.answers("1.17.0 you")
