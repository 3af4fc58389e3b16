"""Pushing what was pushed before, edited or not: without the command line, and all else as ever."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.registry.held import TAG
from conftest import EXAMPLES, ROOT, copy_project

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network]

_LOOK = (
    "import os, sys; sys.argv[0] = 'cog-nix'; os._exit = sys.exit\n"
    "from cog_nix.cli import main\n"
    "try: main()\n"
    "finally: print('typer' in sys.modules)\n"
)


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    status: int
    needed: bool
    """Whether the whole program was needed."""
    stdout: str
    told: str

    @property
    def digest(self) -> str:
        """The pushed image's."""
        return str(re.findall(r"@(sha256:[0-9a-f]{64})", self.told + self.stdout)[0])

    @property
    def sentences(self) -> list[str]:
        """What was told, without times and rates."""
        return [line for line in self.told.splitlines() if not line.startswith("  Uploading")]


@dataclass(frozen=True)
class Pusher:
    """A project, and how it is pushed."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str) -> Ran:
        ran = subprocess.run(
            [sys.executable, "-c", _LOOK, "push", *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks")),
                "DOCKER_CONFIG": str(self.folder.parent / "docker"),
                **self.environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        stdout, _, needed = ran.stdout.rstrip().rpartition("\n")
        return Ran(ran.returncode, needed == "True", stdout, ran.stderr)

    def edit(self) -> None:
        """Make the source what it has never been, and wait until its times are trusted."""
        with (self.folder / "run.py").open("a") as source:
            source.write(f"# {time.time_ns()}\n")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def push(tmp_path_factory: pytest.TempPathFactory) -> Pusher:
    """Return a project that is locked and was built, so that the next build of it is kept."""
    made = Pusher(copy_project(EXAMPLES / "hello-world", tmp_path_factory.mktemp("quick") / "hello-world"))
    command = [sys.executable, "-m", "cog_nix", "build", "--no-load"]
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    subprocess.run(command, cwd=made.folder, env={**os.environ, "PYTHONPATH": paths}, check=True)
    time.sleep(0.2)
    return made


@pytest.fixture
def target(push: Pusher, faulty: Any) -> str:
    """Return where the project was pushed to, by a command line that is remembered."""
    named = f"{faulty.host}/me/hello:v1"
    assert push(named).status == 0
    faulty.log.clear()
    faulty.headers.clear()
    return named


def test_nothing_new(push: Pusher, target: str, faulty: Any) -> None:
    usual = push(target, "--annotation", "a=b", "--compression", "gzip")
    assert usual.needed
    again = push(target)
    assert (again.status, again.needed) == (0, False), again.told
    assert re.search(
        r"^Uploaded 0 of (\d+) blobs \(0 B\), skipped \1 that were there", again.told, re.MULTILINE
    )
    assert f"{faulty.host}/me/hello@{again.digest}" in again.told
    assert faulty.manifests["me/hello:v1"] == faulty.manifests[f"me/hello@{again.digest}"]


def test_an_edit_is_the_image_of_the_usual_way(push: Pusher, target: str, faulty: Any) -> None:
    record = faulty.manifests[f"me/hello:{TAG}"]
    for _ in range(2):
        push.edit()
        quick = push(target)
        assert (quick.status, quick.needed, quick.stdout) == (0, False, "")
        assert re.search(r"^Uploaded 2 of \d+ blobs \([1-9][.\d]* kB\), skipped", quick.told, re.MULTILINE)
        assert faulty.manifests[f"me/hello:{TAG}"] == record, "no layer is new"
        assert not push(target).needed
    faulty.manifests.clear()
    faulty.blobs.clear()
    whole = push(target, "--no-cache")
    assert whole.needed
    assert whole.digest == quick.digest
    assert whole.sentences[:5] == quick.sentences[:5]


def test_what_a_registry_has_lost_is_brought_and_recorded_again(
    push: Pusher, target: str, faulty: Any
) -> None:
    record = faulty.manifests[f"me/hello:{TAG}"]
    faulty.manifests.clear()
    faulty.blobs.clear()
    push.edit()
    ran = push(target)
    assert (ran.status, ran.needed) == (0, False), ran.told
    assert re.search(r"^Uploaded (\d+) of \1 blobs", ran.told, re.MULTILINE)
    assert faulty.manifests[f"me/hello:{TAG}"] == record


def test_json_is_all_of_stdout(push: Pusher, target: str) -> None:
    usual = push(target, "--json")
    push.edit()
    quick = push(target, "--json")
    assert (usual.needed, quick.needed) == (True, False)
    said = json.loads(quick.stdout)
    assert list(said) == list(json.loads(usual.stdout)) == ["version", "image"]
    assert said["image"].endswith(quick.digest)
    assert quick.digest not in quick.told


def test_who_is_refused_at_the_door_is_told_by_the_usual_way(push: Pusher, target: str, faulty: Any) -> None:
    push.edit()
    faulty.current = "a token that nobody gets"
    ran = push(target)
    assert (ran.status, ran.needed) == (1, True), ran.told
    assert ran.told.count("Pushing to ") == ran.told.count("Building Docker image") == 1
    assert "error: failed to push image: " in ran.told
    assert f"Log in with: cog-nix login {faulty.host}" in ran.told


def test_a_token_that_is_handed_out_is_used(push: Pusher, target: str, faulty: Any) -> None:
    push.edit()
    faulty.tokens.extend(["first"])
    ran = push(target)
    assert (ran.status, ran.needed) == (0, False), ran.told
    assert "push" in faulty.asked[0]["scope"][0]


def test_a_refusal_later_on_is_told_in_the_same_words(push: Pusher, target: str, faulty: Any) -> None:
    push.edit()
    faulty.answers["POST"] = deque([(403, {})] * 2)
    quick = push(target)
    faulty.answers["POST"] = deque([(403, {})] * 2)
    usual = push(target, "--compression", "gzip")
    assert (quick.status, usual.status, usual.needed) == (1, 1, True)
    assert quick.sentences == usual.sentences


def test_what_passes_is_tried_again(push: Pusher, target: str, faulty: Any) -> None:
    push.edit()
    faulty.answers["POST"] = deque([(429, {"Retry-After": "0"}), (503, {})])
    ran = push(target)
    assert (ran.status, ran.needed) == (0, False), ran.told
    assert re.search(r"^Uploaded 2 of", ran.told, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [("--compression", "gzip"), ("--provenance",), ("--platform", "linux/amd64"), ("--no-cache",)],
    ids=lambda arguments: arguments[0],
)
def test_more_is_asked_of_the_usual_way(push: Pusher, target: str, arguments: tuple[str, ...]) -> None:
    for _ in range(2):
        assert push(target, *arguments).needed


@pytest.mark.parametrize("source", ["def broken(", "import nothing\n"], ids=["syntax", "no predictor"])
def test_source_is_refused_as_ever(push: Pusher, target: str, source: str) -> None:
    path = push.folder / "run.py"
    good = path.read_text()
    path.write_text(source)
    time.sleep(0.2)
    quick, usual = push(target), push(target, "--compression", "gzip")
    path.write_text(good)
    assert (quick.status, quick.needed) == (1, True), quick.told
    assert quick.told == usual.told
