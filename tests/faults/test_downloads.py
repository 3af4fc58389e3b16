"""The short form of what a mirror can do wrong; the harness tries it all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.downloads import INDEX, PACKAGE, disturb, mirrored
from tests.faults.world import World, warm_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.mirror import Fault, Mirror

pytestmark = [pytest.mark.nix, pytest.mark.network]

_ALWAYS = 1 << 30


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("downloads")
    return World(folder / "world", cache=warm_cache(folder / "cache"))


@pytest.fixture(scope="module")
def mirror(world: World) -> Iterator[Mirror]:
    with mirrored(world) as made:
        finished = world.run("lock")
        assert finished.returncode == 0, finished.stderr
        yield made


@pytest.mark.parametrize(
    ("fault", "suffix", "times"),
    [
        ("cut", PACKAGE, 1),
        ("flipped", INDEX, 1),
        ("flipped", PACKAGE, _ALWAYS),
        ("portal", INDEX, _ALWAYS),
    ],
)
def test_what_is_wrong_is_named_and_overcome(
    world: World, mirror: Mirror, fault: Fault, suffix: str, times: int
) -> None:
    assert disturb(world, mirror, fault, suffix, times) == []
