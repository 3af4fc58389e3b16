"""Nothing stays in a project of what runtimes make there to mount weights on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.weights.mountpoints import NAME, tidied

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = ["/src/deep/unet", "/src/model.bin", "/opt/elsewhere"]


def make(root: Path) -> None:
    """Do what a runtime does."""
    (root / "deep/unet").mkdir(parents=True, exist_ok=True)
    (root / "model.bin").touch()


def test_they_are_removed(tmp_path: Path) -> None:
    with tidied(tmp_path, tmp_path / ".cog", TARGETS):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".cog"]


def fail(root: Path) -> None:
    with tidied(root, root / ".cog", TARGETS):
        make(root)
        raise ZeroDivisionError


def test_also_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(tmp_path)
    assert not (tmp_path / "deep").exists()


def test_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "model.bin").touch()
    with tidied(tmp_path, tmp_path / ".cog", TARGETS):
        make(tmp_path)
    assert (tmp_path / "deep").is_dir()
    assert (tmp_path / "model.bin").exists()
    assert not (tmp_path / "deep/unet").exists()


def test_what_somebody_has_filled_stays(tmp_path: Path) -> None:
    with tidied(tmp_path, tmp_path / ".cog", TARGETS):
        make(tmp_path)
        (tmp_path / "model.bin").write_bytes(b"1")
        (tmp_path / "deep/notes").touch()
    assert (tmp_path / "model.bin").read_bytes() == b"1"
    assert (tmp_path / "deep/notes").exists()


def test_the_last_one_removes_them(tmp_path: Path) -> None:
    state = tmp_path / ".cog"
    first, second = (tidied(tmp_path, state, TARGETS) for _ in range(2))
    with first:
        make(tmp_path)
        second.__enter__()
    assert (tmp_path / "deep/unet").exists(), "the second one has it mounted"
    second.__exit__(None, None, None)
    assert not (tmp_path / "deep").exists()


def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path) -> None:
    state = tmp_path / ".cog"
    state.mkdir()
    (state / NAME).write_text("deep\ndeep/unet\n")
    (tmp_path / "deep/unet").mkdir(parents=True)
    with tidied(tmp_path, state, TARGETS):
        assert not (tmp_path / "deep").exists()


def test_nothing_is_noted_of_other_places(tmp_path: Path) -> None:
    with tidied(tmp_path, tmp_path / ".cog", ["/opt/elsewhere"]):
        pass
    assert not list(tmp_path.iterdir())
