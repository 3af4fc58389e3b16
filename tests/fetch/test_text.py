from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import FetchError
from cog_nix.fetch import texts, urls
from cog_nix.fetch.caching import measure, size_of

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.fetch.caching import CachingFetcher
    from tests.fetch.conftest import Site


def test_a_fresh_copy_is_good_enough(site: Site, fetcher: CachingFetcher) -> None:
    site.files["/Release"] = b"one"
    assert fetcher.text(f"{site.url}/Release") == b"one"
    site.files["/Release"] = b"two"
    assert fetcher.text(f"{site.url}/Release", max_age=60) == b"one"
    assert fetcher.text(f"{site.url}/Release") == b"two"
    assert len(site.asked) == 2


def test_a_stale_copy_is_asked_about(site: Site, fetcher: CachingFetcher) -> None:
    site.files["/Release"] = b"one"
    site.headers = {"ETag": '"1"', "Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT"}
    for _ in range(2):
        assert fetcher.text(f"{site.url}/Release") == b"one"
    headers = site.asked[1][2]
    assert (headers["if-none-match"], headers["if-modified-since"]) == tuple(site.headers.values())
    site.headers = {"ETag": '"2"'}
    site.files["/Release"] = b"two"
    assert fetcher.text(f"{site.url}/Release") == b"two"


def test_an_unchanged_copy_is_fresh_again(
    site: Site, fetcher: CachingFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/Release"] = b"one"
    site.headers = {"ETag": '"1"'}
    clock = [1_000_000.0]
    monkeypatch.setattr(texts.time, "time", lambda: clock[0])  # type: ignore[attr-defined]
    fetcher.text(f"{site.url}/Release")
    for now, asked in ((1_000_500.0, 2), (1_000_590.0, 2), (900_000.0, 3)):
        clock[0] = now
        assert fetcher.text(f"{site.url}/Release", max_age=100) == b"one"
        assert len(site.asked) == asked


def test_a_damaged_copy_is_fetched_anew(site: Site, fetcher: CachingFetcher, cache: Path) -> None:
    site.files["/Release"] = b"one"
    fetcher.text(f"{site.url}/Release")
    (copy,) = (cache / "downloads" / "texts").iterdir()
    copy.write_bytes(b"{")
    assert fetcher.text(f"{site.url}/Release", max_age=60) == b"one"


def test_offline_an_old_copy_is_mentioned_but_not_used(site: Site, fetcher: CachingFetcher) -> None:
    site.files["/Release"] = b"one"
    fetcher.text(f"{site.url}/Release")
    site.moods["/Release"] = ["503"] * 3
    with pytest.raises(FetchError, match=r"a copy of \d{4}-\d\d-\d\d \d\d:\d\d UTC is in the cache"):
        fetcher.text(f"{site.url}/Release")


def test_a_file_url_is_read(tmp_path: Path, fetcher: CachingFetcher) -> None:
    (tmp_path / "Release").write_bytes(b"one")
    assert fetcher.text((tmp_path / "Release").as_uri(), max_age=60) == b"one"
    (tmp_path / "Release").write_bytes(b"two")
    assert fetcher.text((tmp_path / "Release").as_uri(), max_age=60) == b"two"


def test_what_an_index_does_not_tell_is_found_out(site: Site) -> None:
    site.files["/a.whl"] = b"abc"
    assert size_of(f"{site.url}/a.whl") == 3
    assert measure(f"{site.url}/a.whl") == (hashlib.sha256(b"abc").hexdigest(), 3)
    assert [method for method, _, _ in site.asked] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    ("url", "filename", "shown"),
    [
        pytest.param(
            "https://example.org/whl/torch-2.0.1%2Bcu118-cp311.whl",
            "torch-2.0.1+cu118-cp311.whl",
            "https://example.org/whl/torch-2.0.1%2Bcu118-cp311.whl",
            id="quoted",
        ),
        pytest.param(
            "https://u:p%40@[::1]:8/a?k=v#f", "a", "https://[::1]:8/a?…", id="credentials-and-query"
        ),
    ],
)
def test_urls(url: str, filename: str, shown: str) -> None:
    assert urls.filename_of(url) == filename
    assert urls.shown(url) == shown


def test_credentials_are_unquoted() -> None:
    assert urls.credentials_in("https://us%40er:p%3As@example.org/") == ("us@er", "p:s")
    assert urls.credentials_in("https://example.org/") is None
