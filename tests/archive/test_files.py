"""Archives on disk: what is damaged, cut off, shared, or something else."""

from __future__ import annotations

import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.archive import place
from cog_nix.archive.errors import UnusableArchiveError
from cog_nix.archive.folder import FolderArchive
from cog_nix.archive.model import NAME, Header
from cog_nix.archive.tarball import FileArchive
from cog_nix.config.model import OriginSettings

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.fetch.store import Store
    from tests.archive.conftest import Listener


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "inputs"


def test_a_folder_has_files_by_their_hash_alone(root: Path, file: Any, reporter: Listener) -> None:
    artifact, path = file("a.deb", b"first")
    FolderArchive(root, reporter, new=True).add([(artifact, path)], Header())
    there = sorted(one.relative_to(root).as_posix() for one in root.rglob("*") if one.is_file())
    assert there == [".lock", NAME, f"sha256/{artifact.sha256[:2]}/{artifact.sha256}"]


def test_what_two_projects_share_is_kept_once(root: Path, file: Any, reporter: Listener) -> None:
    shared, other = file("a.deb", b"first"), file("b.deb", b"second")
    FolderArchive(root, reporter, new=True).add([shared], Header())
    before = (root / f"sha256/{shared[0].sha256[:2]}/{shared[0].sha256}").stat()
    FolderArchive(root, reporter, new=True).add([other], Header())
    assert (root / f"sha256/{shared[0].sha256[:2]}/{shared[0].sha256}").stat() == before


def test_two_writers_lose_nothing_of_each_other(root: Path, file: Any, reporter: Listener) -> None:
    one, other = (FolderArchive(root, reporter, new=True) for _ in range(2))
    one.add([file("a.deb", b"first")], Header({"nix": "a"}))
    other.add([file("b.deb", b"second")], Header({"container": "b"}))
    assert FolderArchive(root, reporter).header == Header({"container": "b", "nix": "a"})


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_damaged_file_is_named_and_not_given(
    root: Path, file: Any, reporter: Listener, downloads: Store, kind: str
) -> None:
    made = FileArchive if kind == "file" else FolderArchive
    good, bad = file("good.deb", b"good"), file("bad.deb", b"bad" * 1000)
    made(root, reporter, new=True).add([good, bad], Header())
    where = root if kind == "file" else root / f"sha256/{bad[0].sha256[:2]}/{bad[0].sha256}"
    where.write_bytes(where.read_bytes().replace(b"badbad", b"bedbad", 1))
    assert made(root, reporter).supply([good[0], bad[0]], downloads) == [good[0].sha256]
    assert [text for text in reporter.warned if "bad.deb is damaged" in text and str(root) in text]
    assert f"cog-nix archive --check {root}" in reporter.warned[0]
    assert not downloads.path(bad[0].sha256).exists()
    unknown = file("unknown.deb", b"unknown")[0]
    assert made(root, reporter).damaged([good[0], bad[0], unknown]) == [bad[0].sha256]
    made(root, reporter, new=True).add([bad], Header())
    assert made(root, reporter).damaged([good[0], bad[0]]) == []
    assert len(made(root, reporter).supply([good[0], bad[0]], downloads)) == 2


def test_a_damaged_member_is_not_carried_on(root: Path, file: Any, reporter: Listener) -> None:
    bad = file("bad.deb", b"bad" * 1000)
    FileArchive(root, reporter, new=True).add([bad], Header())
    before = root.read_bytes().replace(b"badbad", b"bedbad", 1)
    root.write_bytes(before)
    with pytest.raises(UnusableArchiveError, match=bad[0].sha256):
        FileArchive(root, reporter, new=True).add([file("b.deb", b"second")], Header())
    assert root.read_bytes() == before


def test_the_same_files_make_the_same_bytes(root: Path, file: Any, reporter: Listener) -> None:
    one, other = file("a.deb", b"first"), file("b.deb", b"second")
    grown, at_once = root.with_name("grown.tar"), root.with_name("at-once.tar")
    FileArchive(grown, reporter, new=True).add([other], Header({"nix": "n"}))
    FileArchive(grown, reporter, new=True).add([one], Header())
    FileArchive(at_once, reporter, new=True).add([one, other], Header({"nix": "n"}))
    assert grown.read_bytes() == at_once.read_bytes()


def test_a_write_that_fails_leaves_the_old_file(
    root: Path, file: Any, reporter: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    FileArchive(root, reporter, new=True).add([file("a.deb", b"first")], Header())
    before = root.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnusableArchiveError, match="No space left") as caught:
        FileArchive(root, reporter, new=True).add([file("b.deb", b"second")], Header())
    assert "as it was" in caught.value.hint
    assert root.read_bytes() == before
    assert {one.name for one in root.parent.iterdir()} <= {root.name, "files", "cache"}


@pytest.mark.parametrize("left", [512 + 512, 2_000, 20_000, 51_700, 53_248])
def test_a_file_that_was_cut_off_is_refused(root: Path, file: Any, reporter: Listener, left: int) -> None:
    """In the middle, in a header, or between two members."""
    files = [file("a.deb", b"first" * 10_000), file("b.deb", b"second" * 10_000)]
    FileArchive(root, reporter, new=True).add(files, Header())
    whole = root.read_bytes()
    assert left < len(whole) - 10_240
    root.write_bytes(whole[:left])
    with pytest.raises(UnusableArchiveError, match="its end is missing") as caught:
        FileArchive(root, reporter)
    assert "again" in caught.value.hint


def test_something_else_is_no_archive(root: Path, reporter: Listener) -> None:
    root.write_bytes(b"something else" * 1000)
    with pytest.raises(UnusableArchiveError, match="it is not a tar"):
        FileArchive(root, reporter)


def test_a_folder_whose_making_was_cut_off_is_carried_on(root: Path, file: Any, reporter: Listener) -> None:
    (root / "sha256").mkdir(parents=True)
    (root / ".lock").touch()
    FolderArchive(root, reporter, new=True).add([file("a.deb", b"first")], Header())
    assert (root / NAME).is_file()


def test_a_folder_of_something_else_is_left_alone(root: Path, reporter: Listener) -> None:
    root.mkdir()
    (root / "thesis.tex").touch()
    with pytest.raises(UnusableArchiveError, match=NAME):
        place.destination(str(root), root, reporter)
    assert [one.name for one in root.iterdir()] == ["thesis.tex"]


def test_a_file_of_something_else_is_left_alone(root: Path, reporter: Listener) -> None:
    with tarfile.open(root, "w") as tar:
        tar.add(__file__, "test.py")
    before = root.read_bytes()
    with pytest.raises(UnusableArchiveError, match=NAME):
        place.destination(str(root), root, reporter)
    assert root.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[]", id="no-object"),
        pytest.param('{"format": 1}', id="without-programs"),
        pytest.param('{"format": 3, "programs": {}, "objects": 1}', id="of-a-later-version"),
        pytest.param('{"format": 1, "programs": {"nix": 3}}', id="with-a-record-that-is-none"),
        pytest.param('{"format', id="half"),
    ],
)
def test_a_header_that_is_none_is_refused(root: Path, reporter: Listener, text: str) -> None:
    root.mkdir()
    (root / NAME).write_text(text)
    with pytest.raises(UnusableArchiveError, match=str(root)):
        FolderArchive(root, reporter)


def test_only_nix_packages_take_another_format() -> None:
    """Who has none of them can read the archive with an older cog-nix."""
    assert json.loads(Header({"nix": "record"}).dump()) == {"format": 1, "programs": {"nix": "record"}}
    header = Header(flakes={"github:a/b": "rev=c"})
    assert json.loads(header.dump())["format"] == 2
    assert Header.parse(header.dump(), "inputs") == header


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        pytest.param("new", FolderArchive, id="a-folder"),
        pytest.param("new.tar", FileArchive, id="a-file"),
    ],
)
def test_a_destination_is_what_its_name_says(
    tmp_path: Path, reporter: Listener, monkeypatch: pytest.MonkeyPatch, word: str, kind: type
) -> None:
    monkeypatch.chdir(tmp_path)
    made = place.destination(word, tmp_path, reporter)
    assert isinstance(made, kind)
    assert made.title == str(tmp_path / word)


def test_an_archive_behind_a_web_server_is_asked_by_hash(file: Any, tmp_path: Path) -> None:
    artifact = file("a.deb", b"first")[0]
    named = OriginSettings(("https://archive.example.org/models/",))
    found = place.alternatives([artifact], named, {"COG_NIX_ARCHIVES": str(tmp_path)})
    path = f"sha256/{artifact.sha256[:2]}/{artifact.sha256}"
    assert [one.url for one in found[artifact.sha256]] == [
        f"https://archive.example.org/models/{path}",
        f"file://{tmp_path}/{path}",
    ]
