"""Folders and URLs as sources, several of them for one weight, and what their patterns leave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.fetch.failures import UnreachableError, WrongFileError
from cog_nix.managed.importing import bring, record
from cog_nix.managed.planning import NoFilesError, plan
from cog_nix.managed.source import SourceError
from cog_nix.system.digests import digest_of
from cog_nix.weights.model import WeightsLock, set_digest
from cog_nix.weights.store import OtherContentError
from tests.managed.conftest import weight
from tests.managed.website import CONTENT

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.managed.planning import Plan
    from cog_nix.managed.source import Surroundings
    from cog_nix.weights.model import LockedWeight
    from tests.managed.website import Server


def look(
    around: Surroundings, project: Path, *uris: str, known: LockedWeight | None = None, **more: Any
) -> Plan:
    return plan(weight(*uris, **more), WeightsLock((known,) if known else ()), project, around)


@pytest.fixture
def folder(project: Path) -> Path:
    """Return a folder of weights in the project."""
    for path, content in {"a.bin": b"a", "deep/b.bin": b"b", ".cog/x": b"x", "deep/.cog/x": b"x"}.items():
        (project / "w" / path).parent.mkdir(parents=True, exist_ok=True)
        (project / "w" / path).write_bytes(content)
    return project / "w"


@pytest.mark.parametrize("uri", ["w", "./w/", "file://./w", "absolute"])
def test_a_folder(around: Surroundings, project: Path, folder: Path, uri: str) -> None:
    found = look(around, project, str(folder) if uri == "absolute" else uri)
    assert [(file.path, file.size) for file in found.files] == [("a.bin", 1), ("deep/b.bin", 1)]
    assert found.sources[0].fingerprint == set_digest(found.files)
    bring(found, around)
    assert around.store.held(digest_of(b"b"), 1)
    assert not around.store.path(digest_of(b"a")).samefile(folder / "a.bin"), "an edit would change the store"


def test_a_fingerprint_is_of_all_files(around: Surroundings, project: Path, folder: Path) -> None:
    some, every = look(around, project, "w", include=("a.bin",)), look(around, project, "w")
    assert some.sources[0].fingerprint == every.sources[0].fingerprint
    assert [file.path for file in some.excluded] == ["deep/b.bin"]
    (folder / "deep/b.bin").write_bytes(b"c")
    changed = look(around, project, "w", include=("a.bin",))
    assert changed.sources[0].fingerprint != some.sources[0].fingerprint


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "there is no such folder"),
        ("file", "it is not a folder"),
        ("link", "link is neither a file nor a folder"),
        ("linked-folder", "link is neither a file nor a folder"),
        ("pipe", "pipe is neither a file nor a folder"),
        ("name", "is a name that is not UTF-8"),
    ],
)
def test_folders_that_cannot_be_imported(around: Surroundings, project: Path, kind: str, said: str) -> None:
    where = project / "w"
    if kind == "file":
        where.write_text("")
    elif kind != "missing":
        where.mkdir()
    if kind == "link":
        (where / "link").symlink_to(project / "nowhere")
    elif kind == "linked-folder":
        (where / "link").symlink_to(project)
    elif kind == "pipe":
        os.mkfifo(where / "pipe")
    elif kind == "name":
        with open(os.fsencode(where) + b"/\xff", "wb"):  # noqa: PTH123 - a name that is no text
            pass
    with pytest.raises(SourceError, match=said) as caught:
        look(around, project, "w")
    assert caught.value.hint


def test_a_file_that_changes_after_it_was_hashed(around: Surroundings, project: Path, folder: Path) -> None:
    found = look(around, project, "w")
    (folder / "a.bin").write_bytes(b"z")
    with pytest.raises(OtherContentError):
        bring(found, around)
    assert not around.store.held(digest_of(b"a"), 1)
    assert not around.store.held(digest_of(b"z"), 1)


def test_the_last_source_wins(around: Surroundings, project: Path, folder: Path) -> None:
    (project / "more").mkdir()
    (project / "more/a.bin").write_bytes(b"other")
    found = look(around, project, "w", "more")
    assert {file.path: file.size for file in found.files} == {"a.bin": 5, "deep/b.bin": 1}
    bring(found, around)
    assert around.store.held(digest_of(b"other"), 5)
    assert not around.store.held(digest_of(b"a"), 1), "nobody needs it"
    assert folder.exists()


def test_patterns_that_leave_nothing(around: Surroundings, project: Path, folder: Path) -> None:
    with pytest.raises(NoFilesError) as caught:
        look(around, project, "w", include=("*.pt",), exclude=("a*",))
    assert str(caught.value).splitlines() == [
        'weight "unet": include/exclude patterns matched zero files out of 2 in file://./w',
        "  include: *.pt",
        "  exclude: a*",
    ]
    (project / "empty").mkdir()
    with pytest.raises(NoFilesError, match="has no files"):
        look(around, project, "empty")
    assert folder.exists()


def test_a_change_of_the_configuration(around: Surroundings, project: Path, folder: Path) -> None:
    first = look(around, project, "w")
    assert first.status == "new"
    bring(first, around)
    known = record(first, None, {}, around)
    assert look(around, project, "w", known=known).status == "unchanged"
    changed = look(around, project, "w", known=known, exclude=("a.bin",))
    assert (changed.status, changed.changes) == ("config-changed", ("exclude: [] → [a.bin]",))
    (folder / "a.bin").write_bytes(b"b")
    moved = look(around, project, "w", known=known)
    assert moved.status == "upstream-changed"
    assert moved.changes[0].startswith("fingerprint: sha256:")


def test_a_url_is_fetched_once(around: Surroundings, project: Path, server: Server) -> None:
    found = look(around, project, server.url)
    assert bring(found, around) == {}
    assert server.log == ["HEAD", "GET"]
    assert found.sources[0].fingerprint == 'etag:"1"'
    assert [file.path for file in found.files] == ["model x.bin"]
    assert around.store.path(digest_of(CONTENT)).read_bytes() == CONTENT


def test_the_same_etag_fetches_nothing(around: Surroundings, project: Path, server: Server) -> None:
    known = record(look(around, project, server.url), None, {}, around)
    server.log.clear()
    assert look(around, project, server.url, known=known).status == "unchanged"
    assert server.log == ["HEAD"]
    server.etag, server.content = '"2"', b"new"
    moved = look(around, project, server.url, known=known)
    assert (moved.status, moved.changes) == ("upstream-changed", ('fingerprint: etag:"1" → etag:"2"',))
    assert moved.files[0].size == 3


def test_a_file_that_the_store_has_lost_is_fetched_and_checked(
    around: Surroundings, project: Path, server: Server
) -> None:
    known = record(look(around, project, server.url), None, {}, around)
    around.store.path(digest_of(CONTENT)).unlink()
    again = look(around, project, server.url, known=known)
    server.content = CONTENT[::-1]
    with pytest.raises(WrongFileError):
        bring(again, around)
    server.content = CONTENT
    around.cancelled.clear()
    bring(again, around)
    assert around.store.held(digest_of(CONTENT), len(CONTENT))


@pytest.mark.parametrize(("etag", "head"), [("", 200), ('W/"1"', 200), ('"1"', 405)])
def test_without_a_strong_etag_contents_count(
    around: Surroundings, project: Path, server: Server, etag: str, head: int
) -> None:
    server.etag, server.head = etag, head
    assert look(around, project, server.url).sources[0].fingerprint == digest_of(CONTENT)


@pytest.mark.parametrize(("etag", "asked"), [('"1"', "GET bytes=100000-"), ("", "GET")])
def test_a_cut(around: Surroundings, project: Path, server: Server, etag: str, asked: str) -> None:
    server.etag, server.cut = etag, 100_000
    look(around, project, server.url)
    assert server.log == ["HEAD", "GET", asked]
    assert around.store.path(digest_of(CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "said"), [("gone.bin", "answered 404"), ("", "its path ends with no file name")]
)
def test_urls_that_lead_to_nothing(
    around: Surroundings, project: Path, server: Server, path: str, said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        look(around, project, f"http://127.0.0.1:{server.port}/{path}")


def test_a_server_that_is_not_there(around: Surroundings, project: Path) -> None:
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1"):
        look(around, project, "http://127.0.0.1:1/model.bin")
