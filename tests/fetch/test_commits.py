"""A commit whose repository git cannot reach comes from the tar that its server gives of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import FetchError
from cog_nix.fetch import commits, git
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.fetch.origins import NowhereError
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.lock.model import Artifact
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fetch.conftest import Site

QUICK = RetryPolicy(attempts=2, delay=0.01)
NAMES = ("setup.py", "a/z.txt", "a-b/c.txt", "a/b/deep.txt", "a.txt", "B", "späť.txt", "a/" + "n" * 120)
"""Their order differs by how paths are compared; one is not ASCII, and one too long for tar's field."""


class Repository:
    """A repository with one commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in NAMES:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"content of {name}\r\n")
        (folder / "setup.py").chmod(0o755)
        (folder / "a" / "link").symlink_to("../B")
        (folder / "folder").symlink_to("a")
        self.git("init", "--quiet")
        self.commit = self.committed()

    def git(self, *arguments: str) -> bytes:
        known = ("user.name=A", "user.email=a@example.org", "commit.gpgsign=false", "core.autocrlf=false")
        options = [word for one in known for word in ("-c", one)]
        return subprocess.run(
            ["git", *options, *arguments], cwd=self.folder, check=True, capture_output=True
        ).stdout

    def committed(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "all")
        return self.git("rev-parse", "HEAD").decode().strip()

    def artifact(self, site: Site) -> Artifact:
        """Return the commit as a lock has it, of a server that git gets nothing from."""
        made = io.BytesIO()
        git.write_archive(f"git+{self.folder.as_uri()}@{self.commit}", made, {})
        sha256 = hashlib.sha256(made.getvalue()).hexdigest()
        return Artifact("it.tar", f"git+{site.url}/team/it.git@{self.commit}", sha256, len(made.getvalue()))

    def tar(self) -> bytes:
        """Return the tar that servers make of it."""
        return self.git("archive", "--format=tar.gz", f"--prefix=it-{self.commit}/", self.commit)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def fetched(artifact: Artifact, cache: Path) -> bytes:
    found = CachingFetcher(cache, SilentReporter(), policy=QUICK).artifacts([artifact])
    return found[artifact.sha256].read_bytes()


@pytest.mark.parametrize(
    "path", ["archive/{0}.tar.gz", "-/archive/{0}/it-{0}.tar.gz"], ids=["flat", "dashed"]
)
def test_the_archive_is_the_one_that_git_gives(
    repository: Repository, site: Site, cache: Path, path: str
) -> None:
    artifact = repository.artifact(site)
    site.files[f"/team/it/{path.format(repository.commit)}"] = repository.tar()
    content = fetched(artifact, cache)
    assert hashlib.sha256(content).hexdigest() == artifact.sha256
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {one.name for one in tar} == {f"source/{name}" for name in (*NAMES, "a/link", "folder")}


def test_a_machine_without_git_needs_none(
    repository: Repository, site: Site, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = repository.artifact(site)
    site.files[f"/team/it/archive/{repository.commit}.tar.gz"] = repository.tar()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert fetched(artifact, cache)


def test_a_tar_that_has_other_files_is_refused(repository: Repository, site: Site, cache: Path) -> None:
    (repository.folder / ".gitattributes").write_text("B export-ignore\n")
    repository.commit = repository.committed()
    artifact = repository.artifact(site)
    site.files[f"/team/it/archive/{repository.commit}.tar.gz"] = repository.tar()
    with pytest.raises(NowhereError, match="the commit's files are others there") as caught:
        fetched(artifact, cache)
    assert "can clone it" in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(b"<html>", "no archive of a commit", id="page"),
        pytest.param(gzip.compress(b"text"), "no archive of a commit", id="no-tar"),
        pytest.param(gzip.compress(bytes(1024))[:-9], "no archive of a commit", id="cut"),
        pytest.param(gzip.compress(bytes(20 << 20)), "far more than the commit has", id="bomb"),
    ],
)
def test_what_is_no_tar_is_refused(
    repository: Repository, site: Site, cache: Path, answer: bytes, said: str
) -> None:
    artifact = repository.artifact(site)
    site.files[f"/team/it/archive/{repository.commit}.tar.gz"] = answer
    with pytest.raises(NowhereError, match=said):
        fetched(artifact, cache)
    left = [path for path in (cache / "downloads").rglob("*") if path.is_file()]
    assert left == []


def test_other_schemes_have_no_such_server(repository: Repository, site: Site, cache: Path) -> None:
    artifact = repository.artifact(site)
    commit = "0" * 40
    for scheme in ("git+ssh://git@example.org/it", "git+file:///srv/it"):
        assert commits.archives(f"{scheme}@{commit}") == ()
    lost = replace(artifact, url=f"git+{(repository.folder / 'gone').as_uri()}@{commit}")
    with pytest.raises(FetchError, match="cannot read") as caught:
        fetched(lost, cache)
    assert not isinstance(caught.value, NowhereError)
