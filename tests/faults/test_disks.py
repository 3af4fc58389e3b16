"""A full file system under each place that commands write to: it is named, and the next run succeeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults import scenarios
from tests.faults.disks import complaints, fill, small
from tests.faults.world import World, warm_cache

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network, pytest.mark.root]

_KILOBYTES = 4096


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("disks")
    made = World(folder / "world", cache=warm_cache(folder / "cache"))
    finished = made.run("build", "--no-load")
    assert finished.returncode == 0, finished.stderr
    (made.folder / "out").mkdir()
    return made


@pytest.mark.parametrize("left", [0, 4096], ids=["nothing-left", "a-page-left"])
def test_temporary_files_of_a_build(world: World, left: int) -> None:
    scenarios.edit(world, left + 1)
    _assert_said_and_overcome(world, world.temporary, left, "build", "--no-load")


def test_temporary_files_of_a_lock(world: World) -> None:
    (world.project / "cog-nix.lock").unlink()
    _assert_said_and_overcome(world, world.temporary, 0, "lock")


def test_the_project_of_a_lock(world: World) -> None:
    (world.project / "cog-nix.lock").unlink()
    _assert_said_and_overcome(world, world.project, 0, "lock")


def test_the_folder_of_an_archive(world: World) -> None:
    out = world.folder / "out"
    command = ("build", "--no-load", "-o", f"{out}/image.tar")
    with small(out, _KILOBYTES):
        assert complaints(world, out, *command) == []
        assert list(out.iterdir()) == []
    assert world.run(*command).returncode == 0
    assert [path.name for path in out.iterdir()] == ["image.tar"]


def _assert_said_and_overcome(world: World, folder: Path, left: int, *command: str) -> None:
    with small(folder, _KILOBYTES):
        fill(folder, left)
        assert complaints(world, folder, *command) == []
        (folder / ".filler").unlink()
        again = world.run(*command)
        assert again.returncode == 0, again.stderr
        assert [*world.left(), *world.files_left()] == []
        kept = (world.project / "cog-nix.lock").read_bytes()
    (world.project / "cog-nix.lock").write_bytes(kept)
