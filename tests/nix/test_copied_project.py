"""A project that was built, and then copied with all its links resolved."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import stream

pytestmark = pytest.mark.nix


@pytest.fixture
def copied(hello: tuple[Any, stream.Image], tmp_path: Path) -> Any:
    """Return the built hello-world as ``cp -rL`` copies it, in the same store."""
    build, _ = hello
    # In a store of one's own, Nix's link leads to where the path is not; a system's does.
    target = tmp_path / build.project.name
    target.mkdir()
    for path in build.project.iterdir():
        if path.name != ".cog":
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, target / path.name)
    (target / ".cog").mkdir()
    for path in (build.project / ".cog").iterdir():
        there = build.store / "nix/store" / path.readlink().name if path.is_symlink() else path
        (shutil.copytree if there.is_dir() else shutil.copy2)(there, target / ".cog" / path.name)
    return type(build)(target, build.store)


def test_a_copy_with_its_links_resolved_builds_the_same(copied: Any, hello: tuple[Any, stream.Image]) -> None:
    result, root = copied.project / "result", copied.project / ".cog/image"
    assert not result.is_symlink()
    assert not root.is_symlink()
    ran = copied.run("build", "--no-load")
    assert "result" not in ran.stderr.replace("./result", "")  # no warning: it is no file of the user's
    assert result.is_symlink()
    assert root.is_symlink()
    assert copied.path() == hello[0].path()


def test_an_image_without_a_link_is_the_same_too(copied: Any, hello: tuple[Any, stream.Image]) -> None:
    """The copied program is not taken for a file of the model's."""
    said = copied.run("build", "--no-load", "--no-out-link").stderr
    assert hello[0].path().name in said


def test_damaged_state_is_made_anew(copied: Any, hello: tuple[Any, stream.Image]) -> None:
    state = copied.project / ".cog"
    kinds = {path.name: path.is_dir() for path in state.iterdir()}
    for name, is_folder in kinds.items():
        if is_folder:
            shutil.rmtree(state / name)
            (state / name).touch()
        else:
            (state / name).unlink()
            (state / name).mkdir()
            (state / name / "inside").touch()
    copied.run("build", "--no-load")
    found = {path.name: path.is_dir() and not path.is_symlink() for path in state.iterdir()}
    assert found == {**kinds, "builds": True}
    assert copied.path() == hello[0].path()


def test_a_file_of_the_users_keeps_its_name(copied: Any) -> None:
    result = copied.project / "result"
    result.unlink()
    result.write_text("mine")
    assert "result is a file of yours" in copied.run("build", "--no-load").stderr
    assert result.read_text() == "mine"


def test_a_state_folder_that_leads_nowhere_is_replaced(copied: Any) -> None:
    shutil.rmtree(copied.project / ".cog")
    os.symlink("/nonexistent/.cog", copied.project / ".cog")  # noqa: PTH211 - text
    copied.run("build", "--no-load")
    assert (copied.project / ".cog/image").is_symlink()
