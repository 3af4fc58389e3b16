"""Images of a shell and little else, and the daemonless runtime with each engine that is here."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from cog_nix.report import SilentReporter
from cog_nix_hooks.bundle.programs import ENGINES, program
from cog_nix_hooks.bundle.runtime import BundleRuntime
from cog_nix_hooks.docker import podman
from cog_nix_hooks.docker.podman import PodmanRuntime
from cog_nix_hooks.docker.runtime import DockerRuntime
from tests.hooks.docker.conftest import Store, programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.plugins.spec import Container, Runtime

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nada:x:7:8:Ada:/home/ada:/bin/sh\n"
TOOLS = ("sh", "sleep", "ls", "cat", "id", "df", "rm", "touch", "hostname", "stty", "unshare", "mount")
LOOP = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"
"""A script that runs until it is told to stop."""


@pytest.fixture(scope="session")
def base() -> dict[str, bytes]:
    """The layer that all images have."""
    return {**programs(*TOOLS), "etc/passwd": PASSWD, "etc/group": b"root:x:0:\nstaff:x:50:\n"}


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory, base: dict[str, bytes]) -> Path:
    """The program of an image with a shell."""
    image = Store(tmp_path_factory.mktemp("shell")).build(
        base,
        {"src/here": b""},
        Env=["PATH=/bin", "A=image", "B=image"],
        WorkingDir="/src",
        Cmd=["sh", "-c", LOOP],
    )
    return image.program


def usable(name: str) -> str:
    """Return the path of an engine, or skip the test."""
    path = program(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture(params=ENGINES)
def runtime(request: pytest.FixtureRequest, tmp_path: Path, shell: Path) -> BundleRuntime:
    """A runtime with each engine, that holds the image ``shell``."""
    made = BundleRuntime(tmp_path / "bundle", engine=usable(request.param))
    assert made.available() is None
    made.load(shell, ["shell"], SilentReporter())
    return made


@pytest.fixture
def finished() -> Callable[[Container], tuple[int, str]]:
    """Wait for a container's end; return its status and what it wrote."""

    def wait(container: Container) -> tuple[int, str]:
        with container:
            status = container.wait(20)
            return status, container.logs()

    return wait


@pytest.fixture(scope="session")
def podman_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running service of Podman's; its address."""
    if not shutil.which("podman"):
        pytest.skip("podman is not installed")
    folder = tmp_path_factory.mktemp("podman")
    # Podman raises limits, which root in a container or a small machine may not do.
    limit = min(1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    engine = "runc" if shutil.which("runc") else "crun"
    (folder / "containers.conf").write_text(
        f'[containers]\ndefault_ulimits = ["nofile={limit}:{limit}", "nproc={limit}:{limit}"]\n'
        f'[engine]\nruntime = "{engine}"\n'
    )
    path = folder / "s"
    env = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
    command = ["podman", "system", "service", "--time=0", f"unix://{path}"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, env=env, stdout=log, stderr=log) as process,
    ):
        deadline = time.monotonic() + 30
        while not podman._listens(path):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"unix://{path}"
        process.kill()  # told to end, it would wait for connections that nobody closes


@pytest.fixture
def podman_host(podman_service: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Podman's service, made known to this test and what it starts."""
    monkeypatch.setenv("CONTAINER_HOST", podman_service)
    return podman_service


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        "podman",
        *ENGINES,
    ]
)
def anywhere(request: pytest.FixtureRequest, shell: Path, tmp_path: Path) -> Iterator[Runtime]:
    """Each runtime, the daemonless one with each engine, with an image of a shell."""
    made: DockerRuntime | BundleRuntime
    if request.param == "docker":
        made = DockerRuntime()
    elif request.param == "podman":
        request.getfixturevalue("podman_host")
        made = PodmanRuntime()
    else:
        made = BundleRuntime(tmp_path / "bundle", engine=usable(request.param))
    assert made.available() is None
    made.load(shell, ["cog-nix-test-streams"], SilentReporter())
    yield made
    if isinstance(made, DockerRuntime):
        made.close()
