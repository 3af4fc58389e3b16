"""The wheel holds all that cog-nix needs, and works from a virtual environment far from the sources.

Also on a machine that has Python and nothing else of what is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from cog_nix import __version__
from cog_nix_hooks.pypi.indexes import uv_environment
from cog_nix_hooks.pypi.lines import Lines
from conftest import copy_project
from tests import hosts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("cog_nix", "hooks", "compat-tests", "nix", "scripts", "README.md", "LICENSE", "pyproject.toml")

pytestmark = pytest.mark.network


def run(command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Run a command that knows nothing of this checkout; return what it printed."""
    env = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
    finished = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if finished.returncode:
        pytest.fail(f"{' '.join(map(str, command))} ended with {finished.returncode}\n{finished.stderr}")
    return finished.stdout + finished.stderr


def tracked() -> list[str]:
    """Return the files of the packages and the Nix library, relative to the checkout."""
    folders = (ROOT / source for source in SOURCES)
    files = (path for folder in folders if folder.is_dir() for path in folder.rglob("*") if path.is_file())
    return [path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that no untracked file of this folder can help."""
    copy = tmp_path_factory.mktemp("sources")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for source in SOURCES:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, copy / source, ignore=ignored)
        else:
            shutil.copy(ROOT / source, copy / source)
    run([sys.executable, copy / "scripts/pin_programs.py"], copy)
    target = tmp_path_factory.mktemp("wheel")
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", target, "."], copy)
    target.chmod(0o755)  # for other users
    [found] = target.glob("cog_nix-*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a new virtual environment; return its cog-nix."""
    environment = tmp_path_factory.mktemp("venv")
    run([sys.executable, "-m", "venv", "--without-pip", environment], environment)
    uv = [find_uv_bin(), "pip", "install", "--quiet", "--python", str(environment / "bin/python")]
    run([*uv, wheel], environment, uv_environment(Lines(), os.environ))
    return environment / "bin/cog-nix"


def in_wheel(file: str) -> str:
    """Return where a file of the checkout stands in the wheel."""
    if file.startswith("nix/"):
        return f"cog_nix/_{file}"
    if file.startswith(("compat-tests/cases/", "compat-tests/projects/")):
        return file.replace("compat-tests", "cog_nix/check", 1)
    return file.removeprefix("hooks/")


def test_the_wheel_holds_every_file(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    packages = ("cog_nix/", "hooks/cog_nix_hooks/", "compat-tests/cases/", "compat-tests/projects/", "nix/")
    expected = {in_wheel(file) for file in tracked() if file.startswith(packages)}
    assert {
        "cog_nix/config/schema.json",
        "cog_nix/config/torch.json",
        "cog_nix/config/gpu.json",
        "cog_nix/_nix/build.nix",
        "cog_nix/_nix/layers/wheels.nix",
        "cog_nix/_nix/builders/stream.py",
        "cog_nix_hooks/debian/__init__.py",
        "cog_nix/check/cases/predict/case.toml",
        "cog_nix/check/projects/counter/run.py",
    } <= expected
    assert sorted(expected - held) == []
    made = {"cog_nix_hooks/debian/mirrors.json", "cog_nix_hooks/debian/programs.json"}
    assert made <= held, "what is written when a wheel is built"


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    ours = {name for name in tops if not name.endswith((".dist-info", ".data"))}
    assert ours == {"cog_nix", "cog_nix_hooks"}


def test_the_wheel_carries_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [licence] = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
        assert "Apache License" in archive.read(licence).decode()


def test_the_command_knows_its_version(program: Path, tmp_path: Path) -> None:
    assert run([program, "--version"], tmp_path) == f"cog-nix {__version__}\n"


def test_the_cases_are_found(program: Path, tmp_path: Path) -> None:
    assert "health-ready" in run([program, "check", "--list"], tmp_path)


@pytest.mark.nix
def test_a_model_is_locked_and_built(program: Path, tmp_path: Path) -> None:
    project = copy_project(ROOT / "examples/hello-world", tmp_path / "hello-world")

    assert "Locked " in run([program, "lock"], project)
    assert "Built cog-hello-world " in run([program, "build", "--no-load"], project)

    assert (project / "result").is_symlink()


@pytest.mark.nix
@pytest.mark.root
def test_a_plain_user_of_a_bare_machine_gets_an_answer(wheel: Path, tmp_path: Path) -> None:
    example = ROOT / "examples/hello-world"
    binds = {"/wheel": wheel.parent, "/example": example}
    with hosts.Host(hosts.bootstrap(*hosts.PLAIN), tmp_path / "machine", binds=binds) as host:
        hosts.strip(host)
        found = host.run(["sh", "-c", "command -v nix-build crun runc bwrap docker podman dpkg gpg"])
        assert found.stdout == ""

        def user(*command: str) -> subprocess.CompletedProcess[str]:
            # The network is this machine's; its services are not the bare one's.
            env = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "DOCKER_HOST": "unix:///nonexistent.sock"}
            finished = host.run(command, user=hosts.USER, env=env, cwd=f"/home/{hosts.USER}")
            assert finished.returncode == 0, finished.stdout + finished.stderr
            return finished

        user("python3", "-m", "venv", "venv")
        user("venv/bin/pip", "install", "--quiet", f"/wheel/{wheel.name}")
        user("sh", "-c", "mkdir hello && cp /example/*.py /example/cog.yaml hello")
        first = user("sh", "-c", "cd hello && ../venv/bin/cog-nix run -i text=world")
        assert first.stdout == "hello world\n"
        assert "Fetching Nix 2." in first.stderr
        again = user("sh", "-c", "cd hello && ../venv/bin/cog-nix run -i text=again")
        assert again.stdout == "hello again\n"
        assert "Fetching" not in again.stderr
