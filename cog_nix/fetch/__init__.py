"""Downloads: a cache by content that all projects share, filled in parallel.

:class:`CachingFetcher` is the :class:`cog_nix.spec.Fetcher` that plugins are handed. :func:`size_of` and
:func:`measure` find out what an index did not tell about a file.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from cog_nix.fetch import urls
from cog_nix.fetch.download import Download
from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.retry import RetryPolicy, retry
from cog_nix.fetch.store import Store
from cog_nix.fetch.texts import TextCache
from cog_nix.fetch.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Artifact
    from cog_nix.report import Bar, Reporter

__all__ = ["CachingFetcher", "RetryPolicy", "measure", "size_of"]

_WORKERS = 8
"""Downloads at once, and thereby connections to one host at once."""


class CachingFetcher:
    """Fetches what the cache lacks; everything in the cache was checked when it came.

    Args:
        cache_dir: folder that all projects share; made when needed.
        reporter: shows one bar for all files.
        credentials: URLs with user and password, whose credentials are used for their hosts.
        policy: how often to try.
    """

    def __init__(
        self,
        cache_dir: Path,
        reporter: Reporter,
        *,
        credentials: Iterable[str] = (),
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
    ) -> None:
        self._store = Store(cache_dir / "downloads" / "sha256")
        self._texts = TextCache(cache_dir / "downloads" / "texts", policy)
        self._reporter = reporter
        self._policy = policy
        self._credentials = {urls.host_of(url): urls.credentials_in(url) for url in credentials}

    def artifacts(self, wanted: Sequence[Artifact]) -> dict[str, Path]:
        """Return the local path of each artifact, by sha256; fetch what is missing, in parallel.

        Raises:
            FetchError: a server cannot be reached or refuses, a file has another hash, or the disk is full.
        """
        found: dict[str, Path] = {}
        missing: dict[str, Artifact] = {}
        for artifact in wanted:
            path = self._store.held(artifact)
            if path:
                found[artifact.sha256] = path
            else:
                missing[artifact.sha256] = artifact
        if missing:
            found.update(self._fetch(list(missing.values())))
        return {artifact.sha256: found[artifact.sha256] for artifact in wanted}

    def text(self, url: str, *, max_age: float = 0) -> bytes:
        """Return the body behind a URL; a copy of at most ``max_age`` seconds is good enough.

        Raises:
            FetchError: a server cannot be reached or refuses, even when an older copy is held.
        """
        with self._transport() as transport:
            return self._texts.get(url, max_age, transport)

    def _fetch(self, missing: list[Artifact]) -> dict[str, Path]:
        cancelled = threading.Event()
        total = sum(artifact.size for artifact in missing)
        files = f"{len(missing)} files" if len(missing) > 1 else missing[0].filename
        # The largest first: a big file that starts last would run on alone.
        missing = sorted(missing, key=lambda artifact: -artifact.size)
        with self._transport() as transport, self._reporter.bytes_bar(f"Fetching {files}", total) as bar:
            transport.prepare()
            advance = _serialised(bar)
            downloads = [
                Download(artifact, self._store, transport, self._policy, cancelled, advance)
                for artifact in missing
            ]
            paths = run_all([download.run for download in downloads], _WORKERS, cancelled)
        return {artifact.sha256: path for artifact, path in zip(missing, paths, strict=True)}

    def _transport(self) -> Transport:
        return Transport({host: known for host, known in self._credentials.items() if known})


def size_of(url: str, *, policy: RetryPolicy = RetryPolicy()) -> int | None:  # noqa: B008 - frozen
    """Return the size of the file behind a URL, or None when the server does not tell.

    Raises:
        FetchError: the server cannot be reached or refuses.
    """
    with Transport() as transport:

        def ask() -> str:
            with transport.open(url, method="HEAD") as response:
                return response.headers.get("content-length", "")

        told = retry(ask, url, policy)
    return int(told) if told.isdigit() else None


def measure(url: str, *, policy: RetryPolicy = RetryPolicy()) -> tuple[str, int]:  # noqa: B008 - frozen
    """Read the file behind a URL to its end and return its sha256 and size; keep nothing.

    Raises:
        FetchError: the server cannot be reached or refuses.
    """
    with Transport() as transport:

        def read() -> tuple[str, int]:
            digest, size = hashlib.sha256(), 0
            with transport.open(url) as response:
                for chunk in response.chunks:
                    digest.update(chunk)
                    size += len(chunk)
            return digest.hexdigest(), size

        return retry(read, url, policy)


def _serialised(bar: Bar) -> Callable[[int], None]:
    lock = threading.Lock()

    def advance(amount: int) -> None:
        with lock:
            bar.advance(amount)

    return advance
