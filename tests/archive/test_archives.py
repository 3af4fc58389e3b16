"""What is true of each kind of archive: a folder, a file, an artifact in a registry."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.archive import place
from cog_nix.archive.errors import UnusableArchiveError
from cog_nix.archive.model import Header
from cog_nix.store.objects import StoreObject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.archive.model import Archive
    from cog_nix.fetch.store import Store
    from tests.archive.conftest import Listener

TOOL = StoreObject(f"{'a' * 32}-tool", "0" * 64, 120, (f"{'a' * 32}-tool",), ("team-1:x",))
KINDS = ["folder", "file", "registry"]
Word = str


@pytest.fixture(params=KINDS)
def word(request: pytest.FixtureRequest, tmp_path: Path) -> Word:
    """Return what names an archive that is still to be made."""
    if request.param == "registry":
        return f"oci:{request.getfixturevalue('registry')}/{uuid.uuid4().hex}:inputs"
    return str(tmp_path / ("inputs.tar" if request.param == "file" else "inputs"))


@pytest.fixture
def written(word: Word, cache: Path, reporter: Listener) -> Callable[[], Archive]:
    return lambda: place.destination(word, cache, reporter)


@pytest.fixture
def read(word: Word, cache: Path, reporter: Listener) -> Callable[[], Archive]:
    return lambda: place.find(word, cache, reporter)


def test_what_was_added_is_there_for_whoever_reads_it(
    written: Any, read: Any, file: Any, downloads: Store
) -> None:
    one, other = file("a.deb", b"a" * 3_000_000), file("b.whl", b"b")
    written().add([one, other], Header({"nix": "record"}))
    found = read()
    assert found.header == Header({"nix": "record"})
    assert [found.holds(artifact.sha256) for artifact, _ in (one, other)] == [True, True]
    assert not found.holds("0" * 64)
    unknown = file("c.whl", b"c")[0]
    assert set(found.supply([one[0], unknown, other[0]], downloads)) == {one[0].sha256, other[0].sha256}
    assert downloads.path(one[0].sha256).read_bytes() == one[1].read_bytes()
    assert not downloads.path(unknown.sha256).exists()


def test_it_grows_by_what_it_lacks(written: Any, read: Any, file: Any, downloads: Store) -> None:
    one, other = file("a.deb", b"first"), file("b.whl", b"second")
    written().add([one], Header({"nix": "old"}, {"github:a/b": "rev=c"}, {TOOL.name: TOOL}))
    again = written()
    assert again.holds(one[0].sha256)
    one[1].unlink()  # needed no more
    assert again.add([other], Header({"container": "new"})) == len(b"second")
    found = read()
    programs = {"container": "new", "nix": "old"}
    assert found.header == Header(programs, {"github:a/b": "rev=c"}, {TOOL.name: TOOL})
    assert len(found.supply([one[0], other[0]], downloads)) == 2


def test_nothing_to_add_changes_nothing(written: Any, read: Any, file: Any) -> None:
    one = file("a.deb", b"first")
    written().add([one], Header({"nix": "record"}))
    written().add([], Header({"nix": "record"}))
    assert read().holds(one[0].sha256)


def test_an_archive_without_programs_is_one(written: Any, read: Any, file: Any) -> None:
    written().add([file("a.deb", b"first")], Header())
    assert read().header == Header()


def test_a_file_that_is_not_what_is_locked_is_refused(written: Any, read: Any, file: Any) -> None:
    artifact, path = file("a.deb", b"first")
    path.write_bytes(b"other")
    with pytest.raises(Exception, match=r"not what is locked|is not$|DIGEST_INVALID|digest"):
        written().add([(artifact, path)], Header())
    with pytest.raises(UnusableArchiveError):
        read()


@pytest.mark.parametrize("name", ["./nothing.here", "../nothing", "~/nothing", "/nothing.here/it"])
def test_a_path_is_no_registry(name: str, cache: Path, reporter: Listener) -> None:
    with pytest.raises(UnusableArchiveError, match="nothing of that name"):
        place.find(name, cache, reporter)


def test_a_url_is_told_where_it_belongs(cache: Path, reporter: Listener) -> None:
    url = "https://archive.example.org/models"
    with pytest.raises(UnusableArchiveError) as caught:
        place.find(url, cache, reporter)
    assert f"COG_NIX_ARCHIVES={url}" in caught.value.hint
    with pytest.raises(UnusableArchiveError, match="URL"):
        place.destination(url, cache, reporter)


def test_what_is_not_there_is_named(read: Any, word: Word) -> None:
    with pytest.raises(UnusableArchiveError) as caught:
        read()
    assert word in str(caught.value)
    assert "cog-nix archive" in caught.value.hint
