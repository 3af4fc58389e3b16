"""``.dockerignore``: the same files as Docker keeps.

``dockerignore.json`` holds what BuildKit's own walker (tonistiigi/fsutil with moby/patternmatcher) kept of
one tree under each ignore file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cog_nix.build import unchanged
from cog_nix.errors import ConfigError
from cog_nix.project.ignore import IMAGE_PROGRAM, Ignore
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FACTS: dict[str, Any] = json.loads(Path(__file__).with_name("dockerignore.json").read_text("utf-8"))
STORE_PATH = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-image"


def walk(root: Path) -> Iterator[str]:
    return Ignore.load(root).walk()


def plant(root: Path, paths: Iterable[str]) -> Path:
    for path in paths:
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("x")
    return root


def without_git(paths: Iterable[str]) -> list[str]:
    """Leave out what Docker keeps and cog-nix does not, whatever the patterns say."""
    return [path for path in paths if path.partition("/")[0] != ".git"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant(tmp_path_factory.mktemp("tree"), FACTS["tree"])


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["name"].replace(" ", "-")) for case in FACTS["cases"]]
)
def test_the_same_files_as_docker(tree: Path, case: dict[str, Any]) -> None:
    (tree / ".dockerignore").write_bytes(case["ignore"].encode())
    assert sorted(set(walk(tree)) - {".dockerignore"}) == without_git(case["kept"])


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["name"].replace(" ", "-")) for case in FACTS["cases"]]
)
def test_ignored_agrees_with_walk(tree: Path, case: dict[str, Any]) -> None:
    (tree / ".dockerignore").write_bytes(case["ignore"].encode())
    ignore = Ignore.load(tree)
    kept = set(ignore.walk())
    for path in FACTS["tree"]:
        if path.endswith("/") or case["name"] == "plain exception Docker never reaches":
            continue
        assert ignore.ignored(path, is_dir=False) == (path not in kept)


def test_order_is_that_of_the_tree(tmp_path: Path) -> None:
    plant(tmp_path, ["b/z", "b/a", "b-c", "a", "B/x", "é"])
    assert list(walk(tmp_path)) == ["B", "B/x", "a", "b", "b/a", "b/z", "b-c", "é"]


def test_own_files_stay_out(tmp_path: Path) -> None:
    plant(
        tmp_path,
        [".cog/validated", "cog-nix.lock", "cog-nix.toml", "cog.yaml", "sub/cog-nix.lock", "sub/.cog/x"],
    )
    (tmp_path / ".dockerignore").write_text("!.cog\n!cog-nix.lock\n")
    assert list(walk(tmp_path)) == [
        ".dockerignore",
        "cog.yaml",
        "sub",
        "sub/.cog",
        "sub/.cog/x",
        "sub/cog-nix.lock",
    ]
    ignore = Ignore.load(tmp_path)
    assert ignore.ignored(".cog", is_dir=True)
    assert ignore.ignored(".cog/validated", is_dir=False)
    assert not ignore.ignored("sub/.cog", is_dir=True)


def test_a_copied_image_stays_out(tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(IMAGE_PROGRAM + b"cog-hello as a Docker archive")
    (tmp_path / "result-2").write_bytes(b"#!/bin/sh\necho a file of the user's\n")
    (tmp_path / "results").write_bytes(IMAGE_PROGRAM)
    assert list(walk(tmp_path)) == ["result-2", "results"]


@pytest.mark.parametrize("name", ["result", "result-man"])
def test_links_into_a_store_stay_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(STORE_PATH)
    assert list(walk(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "target"), [("result", "/data"), ("results", STORE_PATH), ("model", STORE_PATH)]
)
def test_other_links_are_kept(tmp_path: Path, name: str, target: str) -> None:
    (tmp_path / name).symlink_to(target)
    assert list(walk(tmp_path)) == [name]


def test_a_result_that_is_a_file_is_kept(tmp_path: Path) -> None:
    assert list(walk(plant(tmp_path, ["result"]))) == ["result"]


def test_what_is_being_written_stays_out(tmp_path: Path) -> None:
    with scratch.beside(tmp_path / "cog-nix.lock") as new:
        new.touch()
        assert list(walk(plant(tmp_path, ["run.py"]))) == ["run.py"]
        assert unchanged.names_at_root(str(tmp_path)) == ["frun.py"]


def test_git_stays_out_at_the_root_alone(tmp_path: Path) -> None:
    plant(tmp_path, [".git/HEAD", ".gitignore", "module/.git/HEAD"])
    assert list(walk(tmp_path)) == [".gitignore", "module", "module/.git", "module/.git/HEAD"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    plant(tmp_path, ["data/x"])
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "loop").symlink_to(".")
    assert list(walk(tmp_path)) == ["data", "data/x", "link", "loop"]


def test_pipes_are_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert list(walk(plant(tmp_path, ["a"]))) == ["a"]


def test_ignored_folders_are_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, ["big/a/b/c", "src/x.py", "other/y"])
    (tmp_path / ".dockerignore").write_text("*\n!src/*.py\n")
    seen: list[str] = []
    scandir = os.scandir

    def watch(path: Path) -> Any:
        seen.append(path.name)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", watch)
    assert list(walk(tmp_path)) == ["src", "src/x.py"]
    assert seen == [tmp_path.name, "src"]


@pytest.mark.parametrize(
    "line",
    ["[", "[]", "[a-]", "a[b", "!", "!/", "\\", "a\\", "[^]", "[[:nope:]]", "**/[z-a]"],
    ids=lambda line: line,
)
def test_malformed_patterns(tmp_path: Path, line: str) -> None:
    (tmp_path / ".dockerignore").write_text(f"ok\n{line}\n")
    with pytest.raises(ConfigError, match=r"^\.dockerignore:2: "):
        Ignore.load(tmp_path)


def test_all_malformed_patterns_are_told(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("[\nok\n!\n")
    with pytest.raises(ConfigError) as caught:
        Ignore.load(tmp_path)
    assert [line.split(":")[1] for line in caught.value.message.splitlines()] == ["1", "3"]


@given(st.text(alphabet="abc*?[]!/\\^-.{}|()+$# \n:", max_size=30))
@settings(max_examples=500, deadline=None)
def test_any_ignore_file(text: str) -> None:
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        root = plant(Path(folder), ["a/b/c", "b", "ab.c"])
        (root / ".dockerignore").write_text(text)
        try:
            ignore = Ignore.load(root)
        except ConfigError:
            return
        assert set(ignore.walk()) <= {"a", "a/b", "a/b/c", "b", "ab.c", ".dockerignore"}
