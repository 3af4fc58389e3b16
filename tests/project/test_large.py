"""Which of a project's files stay out of the store, and which of them share a layer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cog_nix.project.large import CROWD, LEAST, MOST_LAYERS, Group, groups, is_large, statuses

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def large(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, LEAST)


def walked(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def shared(found: Iterable[Group]) -> set[tuple[str, ...]]:
    return {group.files for group in found}


def test_what_is_large(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(LEAST - 1))
    (tmp_path / "link").symlink_to("b")
    (tmp_path / "folder").mkdir()
    large(tmp_path, "b", "model/deep/c", "read")
    found = groups(statuses(tmp_path, [*walked(tmp_path), "gone"]), {"read"})
    assert found == [
        Group("weights", ("b",), ()),
        Group("weights", ("model/deep/c",), ("model", "model/deep")),
    ]
    assert not is_large((tmp_path / "folder").stat().st_mode, LEAST)


def test_a_file_that_comes_moves_no_other_to_another_layer(tmp_path: Path) -> None:
    large(tmp_path, *(f"shard-{number:03}" for number in range(MOST_LAYERS)))
    assert all(len(one.files) == 1 for one in groups(statuses(tmp_path, walked(tmp_path))))
    large(tmp_path, *(f"shard-{number:03}" for number in range(200)))
    before = groups(statuses(tmp_path, walked(tmp_path)))
    assert len(before) <= MOST_LAYERS
    assert sorted(path for group in before for path in group.files) == walked(tmp_path)
    large(tmp_path, "another")
    after = groups(statuses(tmp_path, walked(tmp_path)))
    assert len(shared(before) - shared(after)) == 1, "the layer that it is in"


def test_an_image_has_no_more_layers_than_docker_takes(tmp_path: Path) -> None:
    large(tmp_path, *(f"shard-{number:03}" for number in range(200)))
    for folder in range(10):
        (tmp_path / f"{folder}").mkdir()
    crowds = [f"{number % 10}/{number}" for number in range(10 * CROWD)]
    for path in crowds:
        (tmp_path / path).touch()
    there = statuses(tmp_path, walked(tmp_path))
    for budget in (8, 60, 100, 120):
        found = groups(there, budget=budget)
        assert sum(len(group.files) for group in found if group.name == "weights") == 200
        assert budget + len(found) + 1 < 127


def test_the_order_is_that_of_a_tar(tmp_path: Path) -> None:
    large(tmp_path, "a-b/1", "a/2", "a.c")
    found = groups(statuses(tmp_path, walked(tmp_path)))
    assert [group.files for group in found] == [
        ("a/2",),
        ("a-b/1",),
        ("a.c",),
    ]


def test_a_crowd_of_small_files_is_a_layer_without_code(tmp_path: Path) -> None:
    for number in range(CROWD):
        path = tmp_path / f"data/{number % 7}/{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "data/empty").mkdir()
    (tmp_path / "data/load.py").touch()
    (tmp_path / "few").mkdir()
    (tmp_path / "few/one.json").touch()
    large(tmp_path, "data/large")
    weights, crowd = groups(statuses(tmp_path, walked(tmp_path)))
    assert weights == Group("weights", ("data/large",), ("data",))
    assert crowd.name == "files"
    assert len(crowd.files) == CROWD
    assert crowd.folders == ("data", *(f"data/{number}" for number in range(7)), "data/empty")
    (tmp_path / "data/0/0.json").unlink()
    assert groups(statuses(tmp_path, walked(tmp_path))) == [weights]
