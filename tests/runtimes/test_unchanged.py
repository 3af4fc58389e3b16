"""A build of a project whose image a runtime holds: answered at once, for as long as nothing has changed.

When the source alone has changed, Nix is asked and the runtime has the new image, without all else that a
build may need; what is said and what is made is the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cog_nix.plugins.manager import find_runtime
from conftest import EXAMPLES, ROOT, copy_project

pytestmark = [pytest.mark.nix, pytest.mark.docker]

_TAG = "cog-nix-test-unchanged:latest"
_LOOK = (
    "import os, sys; sys.argv[0] = 'cog-nix'; os._exit = sys.exit\n"
    "from cog_nix.cli import main\n"
    "try: main()\n"
    "finally: print('typer' in sys.modules)\n"
)


@pytest.fixture(params=["docker", "podman", "bundle"])
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "podman":
        request.getfixturevalue("podman_host")
    return str(request.param)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(EXAMPLES / "hello-world", tmp_path_factory.mktemp("unchanged") / "hello-world")


def build(project: Path, name: str) -> tuple[bool, str]:
    """Build; return whether the whole program was needed, and what was said."""
    ran = subprocess.run(
        [sys.executable, "-c", _LOOK, "build", "--runtime", name, "-t", _TAG],
        cwd=project,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()[-1] == "True", ran.stderr


def test_an_image_that_is_held_is_answered_at_once(project: Path, name: str) -> None:
    time.sleep(0.2)
    build(project, name)
    _, first = build(project, name)
    needed, again = build(project, name)
    assert not needed
    assert first.rpartition(" in ")[0] == again.rpartition(" in ")[0]
    remove(name)
    assert build(project, name)[0]
    assert not build(project, name)[0]
    remove(name)


def remove(name: str) -> None:
    """Take the image's name away from it."""
    if name == "docker":
        subprocess.run(["docker", "rmi", "--force", _TAG], check=True, capture_output=True)
    elif name == "podman":
        subprocess.run(["podman", "--remote", "rmi", "--force", _TAG], check=True, capture_output=True)
    else:
        held = find_runtime("bundle").held(_TAG)  # type: ignore[attr-defined]
        assert held is not None
        Path(held.read[0]).unlink()


def test_after_an_edit_the_image_has_it(project: Path, name: str) -> None:
    source, good = project / "run.py", (project / "run.py").read_text()
    time.sleep(0.2)
    build(project, name)
    _, usual = build(project, name)
    for number in range(3):
        time.sleep(0.2)
        source.write_text(f"{good}# edit {number}\n")
        needed, said = build(project, name)
        assert not needed
        assert _sentences(said) == _sentences(usual)
        assert held(project, name) == made_the_usual_way(project)
        assert not build(project, name)[0]
    source.write_text(good)
    remove(name)


def _sentences(said: str) -> list[str]:
    return [line.partition(" in ")[0] for line in said.splitlines() if not line.startswith(" ")]


def held(project: Path, name: str) -> str:
    """Return the image that ./result leads to, which has to be the one that the runtime holds."""
    made = json.loads(subprocess.check_output([project / "result", "--inspect"]))
    assert find_runtime(name).image_id(_TAG) == made["id"]
    return str(made["id"])


def made_the_usual_way(project: Path) -> str:
    """Return the id of the image that a build makes for which nothing is remembered."""
    command = [sys.executable, "-m", "cog_nix", "-v", "build", "--no-load", "-t", _TAG, "--no-cache"]
    subprocess.run(command, cwd=project, env=_environment(), check=True, capture_output=True)
    return str(json.loads(subprocess.check_output([project / "result", "--inspect"]))["id"])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))}


def test_the_image_that_an_edit_replaced_is_removed(project: Path) -> None:
    source, good = project / "run.py", (project / "run.py").read_text()
    source.write_text(f"{good}# former {time.time_ns()}\n")
    time.sleep(0.2)
    build(project, "docker")
    former = find_runtime("docker").image_id(_TAG)
    assert former
    source.write_text(f"{good}# replaced {time.time_ns()}\n")
    build(project, "docker")
    assert find_runtime("docker").image_id(_TAG) != former
    assert find_runtime("docker").image_id(former) is None
    source.write_text(good)
    remove("docker")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("-> str", "-> Unknown"),
        ("\n\n\nclass", "\nimport cog\nclass"),  # what follows adds a decorator
    ],
    ids=["type", "concurrency"],
)
def test_source_is_refused_as_ever(project: Path, before: str, after: str) -> None:
    source, good = project / "run.py", (project / "run.py").read_text()
    time.sleep(0.2)
    build(project, "docker")
    changed = good.replace(before, after)
    if "import cog\n" in changed:
        changed = changed.replace("    def run", "    @cog.concurrent(max=2)\n    def run")
    source.write_text(changed)
    said = []
    try:
        for flags in ([], ["-v"]):  # flags that are not among the few go the usual way
            command = [sys.executable, "-m", "cog_nix", *flags, "build", "--runtime", "docker", "-t", _TAG]
            ran = subprocess.run(
                command, cwd=project, env=_environment(), capture_output=True, text=True, check=False
            )
            assert ran.returncode == 1
            said.append(ran.stderr[ran.stderr.index("error: ") :])
    finally:
        source.write_text(good)
    assert said[0] == said[1]
    build(project, "docker")
    remove("docker")


def test_a_file_that_becomes_large_is_a_layer_of_its_own(project: Path) -> None:
    weights = project / "weights.bin"
    weights.write_bytes(bytes(1000))
    time.sleep(0.2)
    build(project, "docker")
    build(project, "docker")
    weights.write_bytes(bytes(11 << 20))
    assert build(project, "docker")[0]
    layers = json.loads(subprocess.check_output([project / "result", "--inspect"]))["names"]
    assert "weights" in layers
    weights.unlink()
    remove("docker")
