"""The short form of the harness: each command is ended a few times, in every way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.faults import scenarios
from tests.faults.kills import Ending, Scenario, attack
from tests.faults.world import World, warm_cache
from tests.registry.conftest import start_registry  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.nix, pytest.mark.network]

_SEED = int(os.environ.get("FAULTS_SEED", "20"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A project that was built once, with a cache of its own."""
    folder = tmp_path_factory.mktemp("kills")
    world = World(folder / "world", cache=warm_cache(folder / "cache"))
    finished = world.run("build", "--no-load")
    assert finished.returncode == 0, finished.stderr
    yield world
    world.remove()


@pytest.fixture
def warmed(shared: World) -> Iterator[World]:
    """The same, with its configuration and lock as they were at first."""
    kept = {name: (shared.project / name).read_bytes() for name in ("cog.yaml", "cog-nix.lock", "run.py")}
    yield shared
    for name, content in kept.items():
        (shared.project / name).write_bytes(content)


def _assert_survives(world: World, scenario: Scenario, endings: list[Ending]) -> None:
    assert attack(world, scenario, len(endings), _SEED, endings).problems == [], f"seed {_SEED}"


@pytest.mark.parametrize(
    ("name", "endings"),
    [
        ("build", ["TERM", "KILL", "GROUP-KILL"]),
        ("out", ["INT", "KILL"]),
        ("run", ["KILL", "GROUP-INT"]),
        ("lock", ["TERM", "KILL"]),
    ],
)
def test_here(warmed: World, name: str, endings: list[Ending]) -> None:
    _assert_survives(warmed, scenarios.LOCAL[name](), endings)


def test_push(warmed: World, start_registry: Callable[..., str]) -> None:  # noqa: F811 - as above
    registry = start_registry().replace("127.0.0.1", "localhost")
    _assert_survives(warmed, scenarios.push(registry), ["INT", "KILL"])


@pytest.mark.docker
@pytest.mark.parametrize("runtime", ["docker", "bundle"])
def test_load(warmed: World, runtime: str) -> None:
    _assert_survives(warmed, scenarios.load(runtime), ["KILL"])


@pytest.mark.docker
def test_prediction(warmed: World) -> None:
    _assert_survives(warmed, scenarios.predict("docker"), ["TERM"])
