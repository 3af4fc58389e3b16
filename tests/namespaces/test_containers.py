"""The advice that is given in containers is followed, and helps: in Docker and in Podman, as root or not."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy
import pytest

from cog_nix_hooks.bundle.programs import ENGINES

from .test_causes import ASKED, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "localhost/cog-nix-test-empty"
SYSTEM = ("/usr", "/lib", "/lib64")
"""What a program of this machine needs of it, whatever distribution it is."""
MODULES = (ROOT / "cog_nix", ROOT / "hooks/cog_nix_hooks", Path(pluggy.__file__).parent)
DECIDED = """
from pathlib import Path
from cog_nix_hooks.bundle.choice import decide
from cog_nix_hooks.bundle.programs import Programs

print(getattr(decide(Path("/tmp/bundle"), Programs()), "path", "none"))
"""
"""A program that prints what runs containers."""
PODMAN = ("--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
"""Podman would raise limits and make a bridge, which root in a container or a small machine may not do."""


@dataclass(frozen=True)
class Engine:
    """A container engine, with an image of one empty folder that this machine's programs are mounted into."""

    command: tuple[str, ...]
    options: tuple[str, ...]
    python: str

    def ask(self, user: int, *options: str, code: str = ASKED) -> list[str]:
        """Return what a program prints in a container with these options.

        By itself that is the cause and the remedy of what is in the way, or ``none``.
        """
        mounted = (*SYSTEM, *map(str, MODULES), str(Path(self.python).parents[1]))
        volumes = [f"--volume={path}:{path}:ro" for path in dict.fromkeys(mounted) if Path(path).is_dir()]
        ran = ["run", "--rm", f"--user={user}", *self.options, *options, *volumes]
        path = ":".join(str(module.parent) for module in MODULES)
        ran += [f"--env=PYTHONPATH={path}", "--workdir=/tmp", NAME, self.python, "-c", code]
        done = subprocess.run([*self.command, *ran], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture(scope="module", params=[pytest.param("docker", marks=pytest.mark.docker), "podman"])
def engine(
    request: pytest.FixtureRequest, readable_python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Each engine."""
    name: str = request.param
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    command: tuple[str, ...] = (name,)
    run = tempfile.mkdtemp(prefix="podman-", dir="/tmp")  # Podman takes no path of more than 50 characters
    if name == "podman":
        folder = tmp_path_factory.mktemp("podman")
        runtime = "runc" if shutil.which("runc") else "crun"
        command += ("--root", str(folder / "root"), "--runroot", run, "--runtime", runtime)
        command += ("--cgroup-manager", "cgroupfs", "--storage-driver", "vfs")
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as archive:
        made = tarfile.TarInfo("tmp")
        made.type, made.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(made)
    subprocess.run([*command, "import", "-", NAME], input=empty.getvalue(), capture_output=True, check=True)
    yield Engine(command, PODMAN if name == "podman" else (), readable_python)
    subprocess.run([*command, "rmi", "--force", NAME], capture_output=True, check=True)
    shutil.rmtree(run)


@pytest.mark.root
@pytest.mark.parametrize("user", [0, 1000], ids=["root", "user"])
def test_the_advice_helps(engine: Engine, user: int) -> None:
    cause, remedy = engine.ask(user)
    assert cause == ("filter" if engine.command[0] == "docker" else "masked-proc")
    advised = remedy.removeprefix(f"Start the container so:  {engine.command[0]} run ").removesuffix(" …")
    assert engine.ask(user, *advised.split()) == ["none"]
    # What is not enough leads to the same advice.
    cause, again = engine.ask(user, "--security-opt", "seccomp=unconfined")
    assert (cause, again) == ("masked-proc", remedy)


@pytest.mark.root
def test_a_capability_alone_is_not_enough(engine: Engine) -> None:
    cause, _ = engine.ask(0, "--cap-add", "SYS_ADMIN")
    assert cause == "masked-proc"


@pytest.mark.root
@pytest.mark.parametrize("user", [0, 1000], ids=["root", "user"])
def test_containers_run_in_containers_that_allow_it(engine: Engine, user: int) -> None:
    """Root has no ``CAP_SYS_ADMIN`` there, and mounts in a user namespace as others do."""
    allowed = "unmask=ALL" if engine.command[0] == "podman" else "systempaths=unconfined"
    options = ("--security-opt", "seccomp=unconfined", "--security-opt", allowed)
    [path] = engine.ask(user, *options, code=DECIDED)
    assert Path(path).name in ENGINES
    assert engine.ask(user, code=DECIDED) == ["none"]
