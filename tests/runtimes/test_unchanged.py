"""A build of an unchanged project whose image a runtime holds: answered at once, for as long as it does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cog_nix.plugins import find_runtime
from conftest import EXAMPLES, ROOT, copy_project

pytestmark = [pytest.mark.nix, pytest.mark.docker]

_TAG = "cog-nix-test-unchanged:latest"
_LOOK = (
    "import sys; sys.argv[0] = 'cog-nix'\n"
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
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks")),
    }
    ran = subprocess.run(
        [sys.executable, "-c", _LOOK, "build", "--runtime", name, "-t", _TAG],
        cwd=project,
        env=env,
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
        held = find_runtime("bundle").held(_TAG)
        assert held is not None
        Path(held.read[0]).unlink()


def test_after_an_edit_the_image_has_it(project: Path) -> None:
    source = project / "run.py"
    for number in range(3):
        time.sleep(0.2)
        source.write_text(f"{source.read_text()}# edit {number}\n")
        assert build(project, "docker")[0]
        shown = ["docker", "run", "--rm", _TAG, "tail", "-n", "1", "/src/run.py"]
        assert (
            subprocess.run(shown, check=True, capture_output=True, text=True).stdout == f"# edit {number}\n"
        )
    subprocess.run(["docker", "rmi", "--force", _TAG], check=True, capture_output=True)


def test_source_that_cannot_be_described_is_told_after_an_edit(project: Path) -> None:
    source = project / "run.py"
    good = source.read_text()
    build(project, "docker")
    source.write_text(good.replace("-> str", "-> Unknown"))
    ran = subprocess.run(
        [sys.executable, "-m", "cog_nix", "build", "--runtime", "docker", "-t", _TAG],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "error: run.py" in ran.stderr
    source.write_text(good)
    assert build(project, "docker")[0]
    subprocess.run(["docker", "rmi", "--force", _TAG], check=True, capture_output=True)
