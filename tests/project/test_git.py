"""The labels that Git and CI systems give, with the real Git."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from cog_nix.project.git import labels

if TYPE_CHECKING:
    from pathlib import Path

REVISION = "org.opencontainers.image.revision"
VERSION = "org.opencontainers.image.version"


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    (tmp_path / "gitconfig").write_text("[user]\n\tname = n\n\temail = n@example.org\n")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "model").mkdir(parents=True)
    (root / "model" / "cog.yaml").write_text("")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    return root


def test_commit_without_a_tag(repository: Path) -> None:
    assert labels(repository / "model") == {REVISION: git(repository, "rev-parse", "HEAD")}


def test_commit_at_a_tag(repository: Path) -> None:
    git(repository, "tag", "v1")
    assert labels(repository)[VERSION] == "v1"


def test_commit_behind_an_annotated_tag(repository: Path) -> None:
    git(repository, "tag", "-a", "v1", "-m", "one")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "second")
    assert labels(repository)[VERSION] == f"v1-1-g{git(repository, 'rev-parse', '--short', 'HEAD')}"


def test_changed_files(repository: Path) -> None:
    git(repository, "tag", "v1")
    (repository / "model" / "cog.yaml").write_text("image: x\n")
    assert labels(repository)[VERSION] == "v1-dirty"


def test_detached_head(repository: Path) -> None:
    git(repository, "tag", "v1")
    git(repository, "checkout", "--quiet", "--detach")
    assert labels(repository) == {REVISION: git(repository, "rev-parse", "HEAD"), VERSION: "v1"}


def test_linked_work_tree(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    assert labels(tmp_path / "linked") == {REVISION: git(repository, "rev-parse", "HEAD")}


def test_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert labels(tmp_path) == {}


def test_inside_the_git_folder(repository: Path) -> None:
    assert labels(repository / ".git") == {}


def test_no_repository(tmp_path: Path) -> None:
    assert labels(tmp_path) == {}


def test_git_is_missing(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert labels(repository) == {}


@pytest.mark.root
def test_repository_of_somebody_else(repository: Path) -> None:
    for path in (repository, repository / ".git"):
        os.chown(path, 12345, 12345)
    assert labels(repository) == {}


def test_repository_named_by_the_environment(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "elsewhere"))
    assert labels(tmp_path / "elsewhere")[REVISION] == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("variable", "label"), [("GITHUB_SHA", REVISION), ("GITHUB_REF_NAME", VERSION)], ids=["sha", "ref"]
)
def test_ci_replaces_one_and_leaves_the_other(
    repository: Path, monkeypatch: pytest.MonkeyPatch, variable: str, label: str
) -> None:
    git(repository, "tag", "v1")
    without = labels(repository)
    monkeypatch.setenv(variable, "of-ci")
    assert labels(repository) == {**without, label: "of-ci"}


def test_ci_without_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SHA", "abc")
    assert labels(tmp_path) == {REVISION: "abc"}


def test_empty_variables_count_as_missing(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SHA", "")
    assert labels(repository) == {REVISION: git(repository, "rev-parse", "HEAD")}
