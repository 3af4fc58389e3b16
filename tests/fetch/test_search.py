"""A file that its own URL does not give comes from another place, and the hash decides."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import FetchError
from cog_nix.fetch.caching import CachingFetcher
from cog_nix.fetch.origins import Alternative, NowhereError
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.fetch.transport import Transport
from cog_nix.lock.model import Artifact
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cog_nix.fetch.store import Store
    from cog_nix.fetch.transport import Response
    from tests.fetch.conftest import Site

CONTENT = b"what was locked" * 1000
QUICK = RetryPolicy(attempts=2, delay=0.01)


class Elsewhere:
    """Names the same places for every file, and remembers for which it was asked."""

    def __init__(self, *bases: str, gentle: bool = False) -> None:
        self.asked: list[str] = []
        self._bases, self._gentle = bases, gentle

    def __call__(self, files: Sequence[Artifact]) -> Mapping[str, Sequence[Alternative]]:
        self.asked += [file.filename for file in files]
        return {
            file.sha256: [
                Alternative(f"{base}/{file.filename}", f"place {number}", self._gentle)
                for number, base in enumerate(self._bases)
            ]
            for file in files
        }


class Shelf:
    """Holds files by their hash."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {hashlib.sha256(content).hexdigest(): content for content in contents}

    def supply(self, wanted: Sequence[Artifact], store: Store) -> list[str]:
        held = [one.sha256 for one in wanted if one.sha256 in self.contents]
        return [sha256 for sha256 in held if store.put(sha256, [self.contents[sha256]])]


def fetcher(cache: Path, elsewhere: Elsewhere, **more: object) -> CachingFetcher:
    return CachingFetcher(cache, SilentReporter(), elsewhere=elsewhere, policy=QUICK, **more)  # type: ignore[arg-type]


def gone(artifact: Artifact, site: Site) -> Artifact:
    """Return an artifact whose own URL leads to nothing."""
    return replace(artifact, url=f"{site.url}/gone/{artifact.filename}")


def test_places_are_asked_in_order_until_one_has_the_file(site: Site, cache: Path) -> None:
    artifact = gone(site.artifact("a.deb", CONTENT), site)
    site.files["/other/a.deb"] = b"another file"
    elsewhere = Elsewhere(f"{site.url}/nothing", f"{site.url}/other", site.url, f"{site.url}/never")
    assert fetcher(cache, elsewhere).artifacts([artifact])[artifact.sha256].read_bytes() == CONTENT
    assert site.paths() == ["/gone/a.deb", "/nothing/a.deb", "/other/a.deb", "/a.deb"]


def test_nobody_is_asked_where_the_url_gives_the_file(site: Site, cache: Path) -> None:
    elsewhere = Elsewhere(site.url)
    fetcher(cache, elsewhere).artifacts([site.artifact("a.deb", CONTENT)])
    assert elsewhere.asked == []


def test_all_that_was_tried_is_told_with_what_helps(site: Site, cache: Path, dead_url: str) -> None:
    artifact = gone(site.artifact("a.deb", CONTENT), site)
    site.files["/a.deb"] = b"another file"
    there = site.artifact("b.deb", b"there")
    elsewhere = Elsewhere(dead_url, site.url, f"{site.url}/nothing")
    with pytest.raises(NowhereError) as caught:
        fetcher(cache, elsewhere).artifacts([artifact, there])
    text = str(caught.value)
    other = hashlib.sha256(b"another file").hexdigest()
    expected = [
        f"cannot fetch a.deb; asked for, in this order:\n  a.deb  sha256 {artifact.sha256}",
        f"    {site.url}/gone/a.deb\n      answered 404 Not Found",
        f"    place 0: {dead_url}/a.deb\n      [Errno 111] Connection refused",
        f"    place 1: {site.url}/a.deb\n      what came is another file: ",
        f"    place 2: {site.url}/nothing/a.deb\n      answered 404 Not Found",
    ]
    assert [part for part in expected if part not in text] == []
    assert other in text or f"{len(b'another file')} bytes" in text
    assert "cog-nix lock --upgrade" in caught.value.hint
    assert "cog-nix build --from ARCHIVE" in caught.value.hint
    # What could be had was fetched nevertheless.
    site.files.clear()
    assert fetcher(cache, elsewhere).artifacts([there])


def test_without_a_network_nothing_else_is_advised(cache: Path, dead_url: str) -> None:
    artifact = Artifact("a.deb", f"{dead_url}/a.deb", "0" * 64, 3)
    with pytest.raises(NowhereError) as caught:
        fetcher(cache, Elsewhere(f"{dead_url}/other")).artifacts([artifact])
    assert "can be reached" in caught.value.hint
    assert "--upgrade" not in caught.value.hint


def test_a_server_that_wants_credentials_is_told_of_first(site: Site, cache: Path) -> None:
    artifact = gone(site.artifact("a.whl", CONTENT), site)
    site.moods["/gone/a.whl"] = ["401"]
    with pytest.raises(NowhereError) as caught:
        fetcher(cache, Elsewhere(f"{site.url}/nothing")).artifacts([artifact])
    assert "answered 401" in str(caught.value)
    assert "~/.netrc" in caught.value.hint
    assert "--upgrade" not in caught.value.hint


def test_a_single_place_that_refuses_says_so_itself(site: Site, cache: Path) -> None:
    artifact = gone(site.artifact("a.deb", CONTENT), site)
    with pytest.raises(FetchError, match="answered 404") as caught:
        fetcher(cache, Elsewhere()).artifacts([artifact])
    assert not isinstance(caught.value, NowhereError)


def test_a_server_that_nobody_reaches_is_not_waited_for_by_each_file(
    site: Site, cache: Path, dead_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []
    really = Transport.open

    def counted(self: Transport, url: str, *more: Any, **named: Any) -> AbstractContextManager[Response]:
        tries.append(url)
        return really(self, url, *more, **named)

    monkeypatch.setattr(Transport, "open", counted)
    wanted = [site.artifact(f"{number}.deb", bytes([number])) for number in range(60)]
    lost = [replace(one, url=f"{dead_url}/{one.filename}") for one in wanted]
    assert len(fetcher(cache, Elsewhere(site.url)).artifacts(lost)) == len(lost)
    assert sum(url.startswith(dead_url) for url in tries) <= 8 * QUICK.attempts


def test_a_shared_service_is_asked_one_at_a_time_and_waited_for(site: Site, cache: Path) -> None:
    wanted = [gone(site.artifact(f"{number}.deb", bytes([number]) * 5000), site) for number in range(12)]
    site.moods["/0.deb"] = ["429"] * 6  # more often than anybody else is asked
    site.headers["Retry-After"] = "0"
    found = fetcher(cache, Elsewhere(site.url, gentle=True)).artifacts(wanted)
    assert len(found) == len(wanted)
    assert site.together([one.url.replace("/gone", "").removeprefix(site.url) for one in wanted]) == 1
    assert site.paths().count("/0.deb") == 7


def test_suppliers_are_asked_before_urls(site: Site, cache: Path) -> None:
    held, other = site.artifact("held.deb", CONTENT), site.artifact("other.deb", b"other")
    found = fetcher(cache, Elsewhere(), suppliers=[Shelf(), Shelf(CONTENT)]).artifacts([held, other])
    assert found[held.sha256].read_bytes() == CONTENT
    assert site.paths() == ["/other.deb"]


def test_offline_nobody_else_is_asked(site: Site, cache: Path) -> None:
    held, other = site.artifact("held.deb", CONTENT), site.artifact("other.deb", b"other")
    alone = fetcher(cache, Elsewhere(site.url), suppliers=[Shelf(CONTENT)], offline=True)
    assert alone.artifacts([held])
    with pytest.raises(FetchError, match=r"lacks other\.deb"):
        alone.artifacts([held, other])
    assert site.paths() == []


def test_a_commit_whose_repository_is_gone_comes_by_its_hash(site: Site, cache: Path, tmp_path: Path) -> None:
    archive = site.artifact("made-0123.tar", CONTENT)
    commit = f"git+{(tmp_path / 'nothing').as_uri()}@{'0' * 40}"
    found = fetcher(cache, Elsewhere(site.url)).artifacts([replace(archive, url=commit)])
    assert found[archive.sha256].read_bytes() == CONTENT
