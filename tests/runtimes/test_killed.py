"""Who starts a container is killed, at several moments, in each runtime: nothing stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.plugins.spec import ContainerRequest
from cog_nix_hooks.bundle import cgroups
from cog_nix_hooks.bundle.runtime import BundleRuntime
from cog_nix_hooks.docker.owner import PROCESS_LABEL
from cog_nix_hooks.docker.runtime import DockerRuntime
from cog_nix_hooks.docker.sdk import sdk_client

from .conftest import LOOP
from .test_container import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.plugins.spec import Container, Runtime

pytestmark = pytest.mark.slow  # starts containers

ROOT = Path(__file__).parents[2]
IMAGE = "cog-nix-test-streams"
MOMENTS = ("0.02", "0.1", "0.3", "up")
"""Seconds after its start begins; or when the container has written something."""
MARK = "killed-4d1f"
OWNERS = f"""
import os, signal, sys, time
from pathlib import Path

from cog_nix.plugins.spec import ContainerRequest
from cog_nix_hooks.bundle.runtime import BundleRuntime
from cog_nix_hooks.docker import container
from cog_nix_hooks.docker.podman import PodmanRuntime
from cog_nix_hooks.docker.runtime import DockerRuntime

kind, root, engine, *moments = sys.argv[1:]
if engine == "unwatched":  # as with a daemon elsewhere
    container._watcher = lambda *_: None
for moment in moments:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        made = {{"docker": DockerRuntime, "podman": PodmanRuntime}}.get(kind)
        runtime = made() if made else BundleRuntime(Path(root), engine=engine, method="overlay")
        runtime.available()
        os.write(writing, b"starting")
        command = ("sh", "-c", {LOOP!r}, "{MARK}")
        with runtime.start(ContainerRequest("{IMAGE}", command=command)) as running:
            while not running.logs():
                time.sleep(0.01)
            os.write(writing, b"up")
            time.sleep(60)
    assert os.read(reading, 8) == b"starting"
    if moment == "up":
        assert os.read(reading, 2) == b"up"
    else:
        time.sleep(float(moment))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(child, flush=True)
"""
"""A program that starts containers, one after the other, and kills each process that did."""


def killed_owners(runtime: Runtime, *moments: str, watched: bool = True) -> list[int]:
    """Return the numbers of processes that started a container and were killed."""
    root = engine = ""
    if isinstance(runtime, BundleRuntime):
        root, engine = str(runtime._store.root), str(runtime._named_engine)
    elif not watched:
        engine = "unwatched"
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'hooks'}"}
    command = [sys.executable, "-c", OWNERS, runtime.name, root, engine, *moments]
    said = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    return list(map(int, said.split()))


def held(runtime: DockerRuntime, owners: list[int]) -> list[str]:
    """Return the containers that a daemon has of these owners."""
    with closing(sdk_client(runtime.endpoint)) as client:
        found = [client.containers(all=True, filters={"label": f"{PROCESS_LABEL}={pid}"}) for pid in owners]
    return [one["Id"] for several in found for one in several]


def processes() -> list[str]:
    """Return the processes of containers of this module."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if MARK.encode() in words:
            found.append(path.parent.name)
    return found


def left_cgroups(owners: list[int]) -> list[Path]:
    """Return cgroups of containers of these owners."""
    names = tuple(f"cog-nix-{pid}-" for pid in owners)
    folders = (Path(parent, one) for parent, found, _ in os.walk(cgroups.ROOT) for one in found)
    return [path for path in folders if path.name.startswith(names)]


def test_nothing_is_left(anywhere: Runtime, finished: Callable[[Container], tuple[int, str]]) -> None:
    owners = killed_owners(anywhere, *MOMENTS)
    assert len(owners) == len(MOMENTS)
    assert wait_for(lambda: not processes())  # nobody has to start anything for that
    if isinstance(anywhere, DockerRuntime):
        runtime = anywhere
        assert wait_for(lambda: not held(runtime, owners))
    else:
        assert isinstance(anywhere, BundleRuntime)
        assert finished(anywhere.start(ContainerRequest(IMAGE, command=("sh", "-c", "exit 3"))))[0] == 3
        assert list((anywhere._store.root / "containers").iterdir()) == []
    assert left_cgroups(owners) == []


@pytest.mark.parametrize(
    "anywhere", [pytest.param("docker", marks=pytest.mark.docker), "podman"], indirect=True
)
def test_the_next_start_removes_what_nobody_watched(anywhere: Runtime) -> None:
    assert isinstance(anywhere, DockerRuntime)
    owners = killed_owners(anywhere, "up", watched=False)
    assert len(held(anywhere, owners)) == 1
    with anywhere.start(ContainerRequest(IMAGE, command=("sh", "-c", LOOP))):
        assert held(anywhere, owners) == []
        assert len(held(anywhere, [os.getpid()])) == 1
