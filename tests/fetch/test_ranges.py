"""Parts of files on servers that do as they should, and on others."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import CogNixError
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.fetch.ranges import NoPartsError, Parts, PartsFile
from cog_nix.fetch.retry import Cancelled, RetryPolicy
from cog_nix.fetch.transport import Transport
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.lock.model import Artifact
    from tests.fetch.conftest import Site

CONTENT = bytes(range(256)) * 1024


@pytest.fixture
def transport() -> Iterator[Transport]:
    with Transport() as opened:
        yield opened


@pytest.fixture
def parts(site: Site, transport: Transport) -> Parts:
    site.files["/x.whl"] = CONTENT
    return Parts(transport, f"{site.url}/x.whl", len(CONTENT), RetryPolicy(attempts=3, delay=0.01))


def test_only_what_is_asked_for_comes(parts: Parts, site: Site) -> None:
    assert parts.read(1000, 16) == CONTENT[1000:1016]
    assert parts.read(len(CONTENT) - 4, 100) == CONTENT[-4:], "none stands behind its end"
    assert parts.read(len(CONTENT), 100) == b""
    assert [headers["range"] for *_, headers in site.asked] == ["bytes=1000-1015", "bytes=262140-262143"]
    assert parts.fetched == 20


@pytest.mark.parametrize(
    ("mood", "said"),
    [
        ("whole", "answered 200"),
        ("range:bytes 0-15/262144", "the server sends bytes 0-15/262144"),
        ("range:bytes 1000-1015/999999", "the server sends bytes 1000-1015/999999"),
        ("range:bytes 1000-1015/*", r"the server sends bytes 1000-1015/\*"),
        ("range:", "sends no range"),
        ("more", "more came than the 16 bytes"),
        ("404", "answered 404"),
        ("416", "answered 416"),
    ],
)
def test_what_is_not_the_part_counts_as_none(parts: Parts, site: Site, mood: str, said: str) -> None:
    site.moods["/x.whl"] = [mood]
    with pytest.raises(NoPartsError, match=said):
        parts.read(1000, 16)


def test_a_file_that_changes_meanwhile_is_noticed(parts: Parts, site: Site) -> None:
    site.headers["ETag"] = '"one"'
    parts.read(0, 4)
    site.headers["ETag"] = '"other"'
    with pytest.raises(NoPartsError, match="answered 200"):
        parts.read(8, 4)
    assert site.asked[-1][2]["if-range"] == '"one"'


def test_a_file_with_a_weak_tag_that_changes_is_noticed_as_well(parts: Parts, site: Site) -> None:
    site.headers["ETag"] = 'W/"one"'
    parts.read(0, 4)
    site.headers["ETag"] = 'W/"other"'
    with pytest.raises(NoPartsError, match="has changed since"):
        parts.read(8, 4)
    assert "if-range" not in site.asked[-1][2]


def test_a_connection_that_is_cut_is_tried_again(parts: Parts, site: Site) -> None:
    site.moods["/x.whl"] = ["cut:3", "500"]
    assert parts.read(1000, 16) == CONTENT[1000:1016]
    assert len(site.asked) == 3


def test_one_that_is_always_cut_ends_in_the_whole_file(parts: Parts, site: Site) -> None:
    site.moods["/x.whl"] = ["cut:3"] * 9
    with pytest.raises(NoPartsError, match=r"after 3 attempts"):
        parts.read(1000, 16)


def test_work_that_is_given_up_ends(parts: Parts) -> None:
    parts.cancelled = threading.Event()
    parts.cancelled.set()
    with pytest.raises(Cancelled):
        parts.read(0, 4)


def test_parts_read_like_a_file(parts: Parts, site: Site) -> None:
    file = PartsFile(parts, ahead=1000)
    assert (file.seek(-10, 2), file.read(), file.tell()) == (262134, CONTENT[-10:], 262144)
    file.seek(5000)
    assert file.read(10) + file.read(20) == CONTENT[5000:5030]
    file.prefetch(6000, 3000)
    file.seek(6000)
    assert file.read(3000) == CONTENT[6000:9000]
    assert len(site.asked) == 3, "what was read ahead is not asked for again"
    with pytest.raises(ValueError, match="before the file"):
        file.seek(-1)


def _first(_: Artifact, parts: Parts) -> bytes:
    return parts.read(0, 4)


def test_what_gives_no_parts_is_left_out_and_its_server_is_not_asked_again(
    site: Site, fetcher: CachingFetcher
) -> None:
    good = site.artifact("good.whl", CONTENT)
    assert fetcher.in_parts([good], _first) == {good.sha256: CONTENT[:4]}
    site.moods["/bad.whl"] = ["whole"] * 9
    bad = site.artifact("bad.whl", CONTENT[1:])
    assert fetcher.in_parts([bad], _first) == {}
    asked = len(site.asked)
    assert fetcher.in_parts([good, bad], _first) == {}
    assert len(site.asked) == asked


def test_what_is_small_here_or_needed_whole_is_not_asked_for(site: Site, cache: Path) -> None:
    fetcher = CachingFetcher(cache, SilentReporter())
    small, here = site.artifact("small.whl", b"small"), site.artifact("here.whl", CONTENT)
    local = site.artifact("local.whl", CONTENT[2:], url="./local.whl")
    fetcher.artifacts([here])
    asked = len(site.asked)
    assert fetcher.in_parts([small, here, local], _first) == {}
    other = site.artifact("other.whl", CONTENT[3:])
    assert CachingFetcher(cache, SilentReporter(), whole=True).in_parts([other], _first) == {}
    assert len(site.asked) == asked


def test_errors_of_the_reader_are_its_own(site: Site, fetcher: CachingFetcher) -> None:
    def fail(_: Artifact, parts: Parts) -> bytes:
        raise CogNixError(f"{parts.size} bytes")

    with pytest.raises(CogNixError, match="262144 bytes"):
        fetcher.in_parts([site.artifact("x.whl", CONTENT)], fail)
