from __future__ import annotations

import pytest

from cog_nix.errors import FetchError
from cog_nix.fetch import git

_COMMIT = "0123456789" * 4


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://user:hunter2@example.org/a.git", "https://example.org/a.git", id="https"),
        pytest.param("ssh://git@example.org/a.git", "ssh://git@example.org/a.git", id="ssh-user"),
        pytest.param("ssh://git:hunter2@example.org/a", "ssh://git@example.org/a", id="ssh-password"),
        pytest.param("file:///srv/a", "file:///srv/a", id="file"),
    ],
)
def test_what_of_a_repository_s_url_is_written_down(url: str, expected: str) -> None:
    assert git.public(url) == expected


def test_repository_and_commit_of_a_url() -> None:
    url = f"git+ssh://git@example.org/a.git@{_COMMIT}#subdirectory=x"
    assert git.split(url) == ("ssh://git@example.org/a.git", _COMMIT)
    assert git.is_git(url)


@pytest.mark.parametrize("url", ["git+https://example.org/a", "git+https://example.org/a@main"])
def test_a_branch_is_no_commit(url: str) -> None:
    with pytest.raises(FetchError, match="does not name a commit"):
        git.split(url)
