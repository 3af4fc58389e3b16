"""Images of a shell and little else, and the daemonless runtime with each engine that is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.report import SilentReporter
from cog_nix_hooks.bundle import engines
from cog_nix_hooks.bundle.runtime import BundleRuntime
from tests.docker.conftest import Store, programs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.spec import Container

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nada:x:7:8:Ada:/home/ada:/bin/sh\n"
TOOLS = ("sh", "sleep", "ls", "cat", "id", "df", "rm", "touch", "hostname")
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
    path = engines.program(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    if name == "crun" and engines.HYBRID.exists():
        pytest.skip("crun does not run with both versions of cgroups mounted")
    return path


@pytest.fixture(params=engines.ENGINES)
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
