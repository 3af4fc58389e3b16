"""Small bodies whose hash nobody knows, kept with what is needed to ask whether they changed.

An entry is one file, so that it is whole or not there: a line of JSON (time, ETag, Last-Modified), then the
body.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.errors import FetchError
from cog_nix.fetch.failures import CacheError, UnreachableError
from cog_nix.fetch.retry import RetryPolicy, retry
from cog_nix.fetch.transport import NOT_MODIFIED, Transport
from cog_nix.system import jsonvalue, scratch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """A body and what the server said about it."""

    body: bytes
    fetched: float
    """Seconds since 1970, when the server last said that this is current."""
    etag: str = ""
    last_modified: str = ""

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for a body only if it changed (RFC 9110, section 13.1)."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}


@dataclass(frozen=True)
class TextCache:
    """Bodies by URL.

    Args:
        root: the folder they are kept in.
        policy: how often to try.
    """

    root: Path
    policy: RetryPolicy

    def get(self, url: str, max_age: float, transport: Transport) -> bytes:
        """Return the body behind a URL; ask the server unless the copy is at most ``max_age`` seconds old.

        Raises:
            FetchError: the server cannot be reached or refuses; the message says of what time a copy is held.
        """
        path = self._path(url)
        held = _read(path)
        # A time in the future comes from a clock that was wrong: such a copy is stale.
        if held and 0 <= time.time() - held.fetched <= max_age:
            return held.body
        try:
            entry = retry(lambda: _request(url, held, transport), self.policy, partial(UnreachableError, url))
        except FetchError as error:
            if held:
                when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(held.fetched))
                error.add_note(f"  a copy of {when} is in the cache, too old to be used here")
            raise
        if not url.startswith("file:"):
            _write(path, entry)
        return entry.body

    def forget(self, url: str) -> None:
        """Drop the copy of a body, so that the server is asked for all of it."""
        self._path(url).unlink(missing_ok=True)

    def _path(self, url: str) -> Path:
        return self.root / hashlib.sha256(url.encode("utf-8", "backslashreplace")).hexdigest()


def _request(url: str, held: Entry | None, transport: Transport) -> Entry:
    now = time.time()
    with transport.open(url, held.conditions() if held else {}) as response:
        if response.status == NOT_MODIFIED and held:
            return replace(held, fetched=now)
        headers: Mapping[str, str] = response.headers
        body = b"".join(response.chunks)
        return Entry(body, now, headers.get("etag", ""), headers.get("last-modified", ""))


def _read(path: Path) -> Entry | None:
    try:
        first, _, body = path.read_bytes().partition(b"\n")
        known = jsonvalue.loads(first)
        return Entry(body, float(known["fetched"]), str(known["etag"]), str(known["last_modified"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # missing or not ours: ask anew


def _write(path: Path, entry: Entry) -> None:
    known = {name: value for name, value in asdict(entry).items() if name != "body"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.beside(path) as new:
            new.touch(mode=0o600)  # it may come from an index of the user alone
            new.write_bytes(json.dumps(known).encode() + b"\n" + entry.body)
            new.replace(path)
    except OSError as error:
        raise CacheError(path.parent, error) from error
