"""What is remembered in ``.cog``, and what becomes of it when it is copied, damaged or in the way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import CogNixError
from cog_nix.system.state import make_way_for_link, recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def folder_of_the_store(path: Path) -> None:
    """Make what a copy of a folder of the store looks like: nothing in it is writable."""
    (path / "blobs").mkdir(parents=True)
    (path / "blobs/blob").write_bytes(b"blob")
    for one in (path / "blobs/blob", path / "blobs", path):
        one.chmod(0o555)


WRONG = [
    pytest.param(lambda path: path.write_bytes(b"\xff\xfe"), id="no-text"),
    pytest.param(folder_of_the_store, id="folder"),
    pytest.param(lambda path: path.symlink_to("nowhere"), id="broken-link"),
    pytest.param(lambda path: path.symlink_to("/usr"), id="link-to-a-folder"),
    pytest.param(lambda path: path.symlink_to(path), id="link-to-itself"),
]


@pytest.mark.parametrize("make", WRONG)
def test_a_mark_replaces_whatever_is_there(tmp_path: Path, make: Callable[[Path], None]) -> None:
    mark = tmp_path / ".cog/mark"
    mark.parent.mkdir()
    make(mark)
    assert recall(mark) == ""
    remember(mark, "what is so")
    assert recall(mark) == "what is so"
    assert [path.name for path in mark.parent.iterdir()] == ["mark"]


@pytest.mark.parametrize("make", [*WRONG, pytest.param(lambda path: path.write_text("image"), id="file")])
def test_what_is_no_link_makes_way_for_one(tmp_path: Path, make: Callable[[Path], None]) -> None:
    link = tmp_path / ".cog/image"
    link.parent.mkdir()
    make(link)
    was_link = link.is_symlink()
    make_way_for_link(link)
    assert os.path.lexists(link) == was_link


def test_a_broken_link_makes_way_for_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".cog").symlink_to(tmp_path / "elsewhere/.cog")
    remember(tmp_path / ".cog/mark", "text")
    assert (tmp_path / ".cog").is_dir()
    assert not (tmp_path / ".cog").is_symlink()


def test_a_folder_of_marks_replaces_a_file(tmp_path: Path) -> None:
    (tmp_path / ".cog").mkdir()
    (tmp_path / ".cog/runs").write_text("of another version")
    remember(tmp_path / ".cog/runs/one", "text")
    assert recall(tmp_path / ".cog/runs/one") == "text"


def test_a_file_of_the_users_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".cog").write_text("mine")
    with pytest.raises(CogNixError, match=r"Cannot write .*\.cog: File exists") as caught:
        remember(tmp_path / ".cog/mark", "text")
    assert "then run again" in caught.value.hint
    assert (tmp_path / ".cog").read_text() == "mine"
