"""Where else a distribution may be: indexes know files by their hash (PEP 503, PEP 691).

A lock remembers URLs; the files behind them move when an index does, or are kept by a mirror that has URLs of
its own. Each index of the project and of this machine is asked for the package's page, and a file with the
same sha256 is the same file.
"""

from __future__ import annotations

import functools
import os
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)

from cog_nix.errors import CogNixError
from cog_nix.fetch import urls
from cog_nix.fetch.failures import UnreachableError
from cog_nix.fetch.origins import Alternative
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import list_of, mapping_of, text_of
from cog_nix_hooks.pypi.indexes import uv_environment
from cog_nix_hooks.pypi.lines import parse
from cog_nix_hooks.pypi.uv import UvError, indexes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.lock.model import Artifact
    from cog_nix.plugins.spec import Context, Fetcher

_MAX_AGE = 600.0
"""Seconds for which a project's page is good enough: several files may be of one project."""
_silent: WeakKeyDictionary[Fetcher, set[str]] = WeakKeyDictionary()
"""Indexes that did not answer: nobody waits for them again."""


def origins_of(
    files: Sequence[Artifact], requirements: Sequence[str], context: Context
) -> Mapping[str, Sequence[Alternative]]:
    """Look distributions up in the indexes; leave out what is none, and what no index has.

    Args:
        files: which.
        requirements: lines of the project, which may name indexes.
        context: fetches pages.
    """
    known = _indexes(tuple(requirements), tuple(sorted(os.environ.items())))
    found: dict[str, list[Alternative]] = {}
    for file in files:
        if name := _project(file.filename):
            found[file.sha256] = [
                Alternative(url, f"index {urls.host_of(index)}")
                for index in known
                if (url := _listed(file.sha256, name, index, context))
            ]
    return found


def _project(filename: str) -> str:
    """Return the normalised name of the project that a file is of; "" for other files."""
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[0]
        return parse_sdist_filename(filename)[0]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return ""


@functools.lru_cache(maxsize=1)
def _indexes(requirements: tuple[str, ...], environment: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return the indexes of the project and of this machine, the extra ones first, as uv asks them."""
    environ = dict(environment)
    try:
        return indexes(uv_environment(parse(requirements, "requirements", environ), environ))
    except (UvError, CogNixError):  # a configuration that cannot be used: of which locking tells
        return ()


def _listed(sha256: str, name: str, index: str, context: Context) -> str:
    """Return the URL that an index has for a file of this hash; "" where it has none, or does not answer."""
    page = f"{index.rstrip('/')}/{name}/"
    silent = _silent.setdefault(context.fetcher, set())
    if index in silent:
        return ""
    try:
        body = context.fetcher.text(page, max_age=_MAX_AGE)
    except CogNixError as error:
        context.reporter.log(error.message)
        if isinstance(error, UnreachableError):
            silent.add(index)
        return ""
    return next((urljoin(page, url) for url, known in _files(body) if known == sha256), "")


def _files(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the URL and the sha256 of each file of a page; those without a hash are left out."""
    if body.lstrip()[:1] == b"{":
        try:
            for file in map(mapping_of, list_of(jsonvalue.loads(body)["files"])):
                yield text_of(file["url"]), str(mapping_of(file["hashes"]).get("sha256", ""))
        except (ValueError, KeyError, TypeError):
            return
        return
    page = _Page()
    page.feed(body.decode("utf-8", "replace"))
    for link in page.links:
        url, _, fragment = link.partition("#")
        if fragment.startswith("sha256="):
            yield url, fragment.removeprefix("sha256=").partition("&")[0]


class _Page(HTMLParser):
    """Collects the links of a page of a simple index."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]
