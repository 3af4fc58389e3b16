"""Where an image's source is: as the user names it, as its labels do, and in a clone."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from cog_nix.compare.source import REVISION, SOURCE, Source, checked_out
from cog_nix.errors import FetchError, FlagError
from cog_nix.project import git

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "8b410d7" * 5 + "abcde"
URL = "https://git.example.org/model.git"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(URL, Source(URL), id="repository"),
        pytest.param(f"{URL}#{COMMIT}", Source(URL, COMMIT), id="commit"),
        pytest.param(f"{URL}#{COMMIT}:models/one", Source(URL, COMMIT, "models/one"), id="folder"),
        pytest.param(f"{URL}#:models/one", Source(URL, "", "models/one"), id="folder alone"),
    ],
)
def test_what_a_user_names(text: str, expected: Source) -> None:
    assert Source.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--upload-pack=x", "expected URL#COMMIT:FOLDER"),
        ("#abc", "expected URL#COMMIT:FOLDER"),
        (f"{URL}#main", "expected a commit in full"),
        (f"{URL}#:../other", "has to be in the repository"),
        (f"{URL}#:/etc", "has to be in the repository"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(FlagError, match=said):
        Source.parse(text)


def test_labels_tell_repository_and_commit() -> None:
    assert Source.of({SOURCE: URL, REVISION: COMMIT}) == Source(URL, COMMIT)
    assert Source.of({REVISION: COMMIT}) is None
    assert Source.of({SOURCE: "file:///etc", REVISION: COMMIT}) is None, "an image says where to look"
    with pytest.raises(FlagError, match="does not say its commit"):
        Source.of({SOURCE: URL, REVISION: "main"})
    other = COMMIT[::-1]
    assert Source(URL, other).at({REVISION: COMMIT}).commit == other, "what the user says counts"


def test_credentials_are_not_shown() -> None:
    assert Source("https://ada:secret@git.example.org/model.git").shown == URL
    assert Source("", COMMIT).shown == ""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "models/one").mkdir(parents=True)
    (folder / "models/one/cog.yaml").write_text("build: {}\n")
    run = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*run, *words], check=True)
    return folder


def test_a_commit_is_checked_out_and_removed(repository: Path) -> None:
    first = git.labels(repository)[REVISION]
    (repository / "models/one/cog.yaml").write_text("build: {gpu: true}\n")
    source = Source.parse(f"{repository}#{first}:models/one")
    with checked_out(source) as folder:
        assert (folder / "cog.yaml").read_text() == "build: {}\n"
        assert git.labels(folder)[REVISION] == first
        assert git.is_clean(folder)
    assert not folder.exists()
    with pytest.raises(FlagError, match="no such folder"), checked_out(Source(source.repository, first, "x")):
        pass
    with pytest.raises(FetchError, match="has no commit"), checked_out(Source(source.repository, COMMIT)):
        pass


def test_changes_are_no_commit(repository: Path, tmp_path: Path) -> None:
    project = repository / "models/one"
    (project / "result").symlink_to("/nix/store/x")
    (repository / "elsewhere").touch()
    assert git.is_clean(project)
    (project / "new.py").touch()
    assert not git.is_clean(project)
    assert not git.is_clean(tmp_path)
