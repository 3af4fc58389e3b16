"""What a call of a build backend is given, of all that uv keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix_hooks.pypi.uv_python import Staging

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder of uv's, with an environment and somebody else's source in it."""
    for name in ("env/bin/python", "sdists-v11/pypi/other/1.0/setup.py"):
        path = tmp_path / "uv" / name
        path.parent.mkdir(parents=True)
        path.touch()
    return tmp_path / "uv"


def staged(kept: Path, source: Path, at: Path) -> set[str]:
    """Return what a call in a source sees."""
    (source / "setup.py").parent.mkdir(parents=True, exist_ok=True)
    (source / "setup.py").touch()
    Staging(at, kept / "env", source, "")
    return {str(path.relative_to(at)) for path in at.rglob("*") if path.is_file()}


def test_an_archive_is_seen_alone(kept: Path, tmp_path: Path) -> None:
    (kept / "sdists-v11/.git").touch()  # as uv does, lest Git look further up
    source = kept / "sdists-v11/pypi/mine/1.0/src"
    assert staged(kept, source, tmp_path / "tree") == {
        "env/bin/python",
        "sdists-v11/pypi/mine/1.0/src/setup.py",
    }


@pytest.mark.parametrize("mark", ["folder", "file"])
def test_a_folder_of_a_checkout_is_seen_with_all_of_it(kept: Path, tmp_path: Path, mark: str) -> None:
    checkout = kept / "git-v2/checkouts/1/2"
    checkout.mkdir(parents=True)
    if mark == "folder":
        (checkout / ".git").mkdir()
        (checkout / ".git/HEAD").touch()
    else:  # of a worktree or a submodule
        (checkout / ".git").write_text("gitdir: ../HEAD\n")
    found = staged(kept, checkout / "python", tmp_path / "tree")
    assert "git-v2/checkouts/1/2/python/setup.py" in found
    assert any(path.startswith("git-v2/checkouts/1/2/.git") for path in found)
    assert not any("other" in path for path in found)
