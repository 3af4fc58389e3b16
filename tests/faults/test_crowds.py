"""Several commands at once, on one project and on several that share a cache."""

from __future__ import annotations

import pytest

from tests.faults import scenarios
from tests.faults.crowds import at_once, sibling
from tests.faults.others import failures
from tests.faults.world import World, warm_cache

pytestmark = [pytest.mark.nix, pytest.mark.network]


def test_eight_builds_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("crowds")
    world = World(folder / "world", cache=warm_cache(folder / "cache"))
    assert list(failures(at_once([world] * 2, "lock"))) == []
    scenarios.edit(world, 1)
    others = [sibling(world, f"other-{number}") for number in range(3)]
    assert list(failures(at_once([*[world] * 5, *others], "build", "--no-load"))) == []
    assert len({one.image_id() for one in [world, *others]}) == 4
    assert [*world.left(), *world.files_left()] == []
    world.remove()
