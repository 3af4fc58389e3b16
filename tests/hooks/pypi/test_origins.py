"""A distribution whose URL is dead is looked up by its hash in the indexes of this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Settings
from cog_nix.errors import FetchError
from cog_nix.fetch.failures import UnreachableError
from cog_nix.lock.model import Artifact
from cog_nix.plugins.manager import load
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix_hooks.pypi import uv
from cog_nix_hooks.pypi.indexes import uv_environment
from cog_nix_hooks.pypi.lines import parse

if TYPE_CHECKING:
    from pathlib import Path

WHEEL, SDIST = "Some.Package-1.0-py3-none-any.whl", "some_package-1.0.tar.gz"
HASH, OTHER = "a" * 64, "b" * 64
_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL")


@pytest.fixture(autouse=True)
def _indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name two indexes, and nothing else of this machine's."""
    for name in (*_VARIABLES, "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://first.example.org/simple/")
    monkeypatch.setenv("UV_INDEX", "https://extra.example.org/simple")


class Pages:
    """A fetcher that has pages of indexes."""

    def __init__(self, pages: dict[str, str]) -> None:
        self.pages, self.asked = pages, list[str]()

    def text(self, url: str, *, max_age: float = 0) -> bytes:  # noqa: ARG002 - the protocol's
        self.asked.append(url)
        if url not in self.pages:
            raise FetchError("no such page")
        return self.pages[url].encode()


def places(filename: str, pages: Any, tmp_path: Path, *requirements: str) -> list[str]:
    artifact = Artifact(filename, f"https://gone.example.org/{filename}", HASH, 3)
    context = Context(Settings(), pages, SilentReporter(), tmp_path)
    found = load({"COG_NIX_PLUGINS": "0"}).origins_of([artifact], None, requirements, context)
    return [one.url for answer in found for one in answer.get(HASH, ())]


@pytest.mark.parametrize("filename", [WHEEL, SDIST])
def test_each_index_is_asked_for_the_hash(filename: str, tmp_path: Path) -> None:
    pages = Pages(
        {
            "https://extra.example.org/simple/some-package/": f'<a href="../../x.whl#sha256={OTHER}">x</a>',
            "https://first.example.org/simple/some-package/": (
                f'<html><a href="../../files/y.whl#sha256={OTHER}">y</a>'
                f'<A class="c" HREF="../../files/moved%2B1.whl#sha256={HASH}" data-x="1">moved</a><a>none</a>'
            ),
        }
    )
    assert places(filename, pages, tmp_path) == ["https://first.example.org/files/moved%2B1.whl"]
    assert pages.asked == list(pages.pages)


def test_an_index_that_the_project_names_is_asked(tmp_path: Path) -> None:
    page = "https://named.example.org/whl/some-package/"
    pages = Pages({page: f'<a href="it.whl#sha256={HASH}">it</a>'})
    lines = ("--extra-index-url https://named.example.org/whl", "Some.Package==1.0")
    assert places(WHEEL, pages, tmp_path, *lines) == [f"{page}it.whl"]


def test_an_index_that_does_not_answer_is_asked_once(tmp_path: Path) -> None:
    class Dead(Pages):
        def text(self, url: str, *, max_age: float = 0) -> bytes:  # noqa: ARG002 - the protocol's
            self.asked.append(url)
            raise UnreachableError(url, "timed out", 1)

    pages = Dead({})
    assert [places(name, pages, tmp_path) for name in (WHEEL, SDIST, WHEEL)] == [[], [], []]
    assert len(pages.asked) == 2  # of two indexes


def test_an_index_in_json_is_read_as_well(tmp_path: Path) -> None:
    files = [
        {"filename": "x.whl", "url": "https://f.example.org/x.whl", "hashes": {"md5": "0"}},
        {"filename": "y.whl", "url": "files/y.whl", "hashes": {"sha256": HASH}},
    ]
    page = "https://first.example.org/simple/some-package/"
    found = places(WHEEL, Pages({page: json.dumps({"meta": {}, "files": files})}), tmp_path)
    assert found == [f"{page}files/y.whl"]


@pytest.mark.parametrize("text", ["", "{", '{"files": 3}', '{"files": [{"url": 1}]}', "<a href=", "\x00"])
def test_a_page_that_is_none_names_nothing(text: str, tmp_path: Path) -> None:
    page = "https://first.example.org/simple/some-package/"
    assert places(WHEEL, Pages({page: text}), tmp_path) == []


def test_other_files_are_left_to_others(tmp_path: Path) -> None:
    pages = Pages({})
    assert places("tini_1_amd64.deb", pages, tmp_path) == []
    assert pages.asked == []


def test_uv_says_which_indexes_it_would_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("UV_INDEX_URL", "https://only.example.org/simple")
    monkeypatch.delenv("UV_INDEX")
    import os  # noqa: PLC0415 - as the test has it now

    assert uv.indexes(uv_environment(parse((), "x", os.environ), os.environ)) == (
        "https://only.example.org/simple",
    )
