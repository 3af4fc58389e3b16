"""Downloads: a cache by content that all projects share, filled in parallel.

:class:`CachingFetcher` is the :class:`~cog_nix.plugins.spec.Fetcher` that plugins get. :func:`size_of` and
:func:`measure` find out what an index did not tell about a file.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from cog_nix.errors import FetchError
from cog_nix.fetch import git, urls
from cog_nix.fetch.failures import (
    CacheError,
    NotHereError,
    UnreachableError,
    UnusableUrlError,
    WrongFileError,
)
from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.ranges import NoPartsError, Parts
from cog_nix.fetch.retry import RetryPolicy, retry
from cog_nix.fetch.search import Search
from cog_nix.fetch.store import Store
from cog_nix.fetch.texts import TextCache
from cog_nix.fetch.transport import Transport, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from cog_nix.fetch.origins import Alternative, Elsewhere, Supplier
    from cog_nix.lock.model import Artifact
    from cog_nix.report import Reporter

__all__ = ["CachingFetcher", "RetryPolicy", "measure", "size_of"]

T = TypeVar("T")

_LOOKING = 4
"""Files that are looked into at once, with a few connections each."""
_PARTS_ATTEMPTS = 2
_SMALL = 1 << 17
"""Bytes of a file that is rather fetched whole."""
_WORKERS = 8
"""Downloads at once, and thereby connections to one host at once."""


def _nowhere_else(_files: Sequence[Artifact]) -> Mapping[str, Sequence[Alternative]]:
    """Name no other place."""
    return {}


class CachingFetcher:
    """Fetches what the cache lacks; everything in the cache was checked when it came.

    Args:
        cache_dir: folder that all projects share; made when needed.
        reporter: shows one bar for all files.
        credentials: URLs with user and password, whose credentials are used for their origins; a function
            that returns them is asked when the first thing has to be fetched.
        root: the project's folder, which artifacts with a relative URL (``./dist/mine-1.0.tar.gz``) are in.
        whole: whether everything will be needed whole, so that parts would come twice.
        suppliers: who is asked for a file before its URL is, in this order.
        elsewhere: names other places for files that their own URLs do not give.
        offline: whether nobody but the suppliers may be asked.
        policy: how often to try.
    """

    def __init__(
        self,
        cache_dir: Path,
        reporter: Reporter,
        *,
        credentials: Iterable[str] | Callable[[], Iterable[str]] = (),
        root: Path | None = None,
        whole: bool = False,
        suppliers: Sequence[Supplier] = (),
        elsewhere: Elsewhere = _nowhere_else,
        offline: bool = False,
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
    ) -> None:
        self._store = Store(cache_dir / "downloads" / "sha256")
        self._texts = TextCache(cache_dir / "downloads" / "texts", policy)
        self._reporter = reporter
        self._policy = policy
        self._named = credentials
        self._root = root
        self._whole = whole
        self._suppliers, self._elsewhere, self._offline = tuple(suppliers), elsewhere, offline
        self._without_parts: set[urls.Origin] = set()

    def artifacts(self, wanted: Sequence[Artifact]) -> dict[str, Path]:
        """Return the local path of each artifact, by sha256; fetch what is missing, in parallel.

        Raises:
            FetchError: a server cannot be reached or refuses, a file has another hash, or the disk is full.
            NowhereError: several places were asked for a file in vain.
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

    def in_parts(self, wanted: Sequence[Artifact], read: Callable[[Artifact, Parts], T]) -> dict[str, T]:
        """Look into files on their servers, several at once, without fetching all of them.

        Args:
            wanted: the files.
            read: reads one; raises :class:`~cog_nix.fetch.ranges.NoPartsError` where parts will not do.

        Returns:
            What was read, by sha256. What has to be fetched is left out: files that are small or here
            already, and those of servers that give no parts.

        Raises:
            Exception: what ``read`` raises beyond that.
        """
        chosen = [artifact for artifact in wanted if self._has_parts(artifact)]
        if not chosen:
            return {}
        cancelled = threading.Event()
        # A server that fails is asked for the whole file, with all patience.
        policy = replace(self._policy, attempts=min(self._policy.attempts, _PARTS_ATTEMPTS))
        with Transport(self._credentials) as transport:
            transport.prepare()

            def one(artifact: Artifact) -> tuple[T] | None:
                origin = urls.origin(artifact.url)
                if origin in self._without_parts:
                    return None
                parts = Parts(transport, artifact.url, artifact.size, policy, cancelled)
                try:
                    return (read(artifact, parts),)
                except NoPartsError as error:
                    self._reporter.log(f"{artifact.filename} is fetched whole: {error}")
                    if parts.refused:
                        self._without_parts.add(origin)
                    return None

            found = run_all([functools.partial(one, artifact) for artifact in chosen], _LOOKING, cancelled)
        return {
            artifact.sha256: each[0] for artifact, each in zip(chosen, found, strict=True) if each is not None
        }

    def _has_parts(self, artifact: Artifact) -> bool:
        return (
            not self._whole
            and artifact.size > _SMALL
            and urls.split(artifact.url).scheme in {"http", "https"}
            and self._store.held(artifact) is None
        )

    def text(self, url: str, *, max_age: float = 0) -> bytes:
        """Return the body behind a URL; a copy of at most ``max_age`` seconds is good enough.

        Raises:
            FetchError: a server cannot be reached or refuses, even when an older copy is held.
        """
        with Transport(self._credentials) as transport:
            return self._texts.get(url, max_age, transport)

    def forget(self, url: str) -> None:
        """Drop the copy of a text that is not what it should be."""
        self._texts.forget(url)

    def take(self, url: str) -> tuple[str, int]:
        """Fetch a file whose hash nobody knows; return its sha256 and size. The cache holds it then.

        Args:
            url: ``http``, ``https``, ``file``, relative to the project, or a git commit.

        Raises:
            FetchError: it cannot be reached, or is refused.
        """
        try:
            with self._store.new() as sink:
                if git.is_git(url):
                    git.write_archive(url, sink, self._credentials)
                else:
                    self._copy(self._located(url), sink)
                return self._store.adopt(sink)
        except OSError as error:
            raise CacheError(self._store.root, error) from error

    def _copy(self, url: str, sink: BinaryIO) -> None:
        with Transport(self._credentials) as transport:

            def read() -> None:
                sink.seek(0)
                sink.truncate()
                with transport.open(url) as response:
                    sink.writelines(response.chunks)

            retry(read, self._policy, functools.partial(UnreachableError, url))

    def _located(self, url: str) -> str:
        """Return where a URL points to on this machine."""
        if not url.startswith("./"):
            return url
        if self._root is None:
            raise UnusableUrlError(url, "this is not a project", hint="Run this in the project.")
        return (self._root / url).absolute().as_uri()

    def _fetch(self, missing: list[Artifact]) -> dict[str, Path]:
        wanted = {artifact.sha256: artifact for artifact in missing}
        found: dict[str, Path] = {}
        for supplier in self._suppliers:
            supplied = supplier.supply(list(wanted.values()), self._store) if wanted else ()
            found |= {sha256: self._store.path(sha256) for sha256 in supplied}
            wanted = {sha256: one for sha256, one in wanted.items() if sha256 not in found}
        if wanted and self._offline:
            raise NotHereError(next(iter(wanted.values())))
        return {**found, **(self._search(list(wanted.values())) if wanted else {})}

    def _search(self, missing: list[Artifact]) -> dict[str, Path]:
        commits = [artifact for artifact in missing if git.is_git(artifact.url)]
        found: dict[str, Path] = {}
        failed: dict[Artifact, FetchError] = {}
        for artifact in commits:
            try:
                found[artifact.sha256] = self._archive(artifact)
            except CacheError:
                raise
            except FetchError as error:
                failed[artifact] = error
        others = [one for one in missing if one not in commits]
        located = [replace(artifact, url=self._located(artifact.url)) for artifact in others]
        if not (located or failed):
            return found
        search = Search(self._store, self._credentials, self._policy, self._reporter, self._elsewhere)
        return {**found, **search.run(located, failed, workers=_WORKERS)}

    def _archive(self, artifact: Artifact) -> Path:
        """Make the archive of a commit anew, and see that it is the one that was locked."""
        self._reporter.step(f"Fetching {urls.shown(artifact.url)}")
        sha256, size = self.take(artifact.url)
        if sha256 != artifact.sha256:
            raise WrongFileError(
                artifact,
                "the commit's files are not those that were locked",
                f"sha256 {sha256}, {size} bytes",
                hint="A submodule may have moved, or git converts files here. Lock again and review it.",
            )
        return self._store.path(sha256)

    @cached_property
    def _credentials(self) -> dict[urls.Origin, urls.Credentials]:
        named = self._named() if callable(self._named) else self._named
        known = {urls.origin(url): urls.credentials_in(url) for url in named}
        return {origin: pair for origin, pair in known.items() if pair}


def size_of(url: str, *, policy: RetryPolicy = RetryPolicy()) -> int | None:  # noqa: B008 - frozen
    """Return the size of the file behind a URL, or None when the server does not say.

    Raises:
        FetchError: the server cannot be reached or refuses.
    """
    with Transport() as transport:

        def request() -> str:
            with transport.open(url, method="HEAD") as response:
                return response.headers.get("content-length", "")

        told = retry(request, policy, functools.partial(UnreachableError, url))
    return whole_number(told)


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

        return retry(read, policy, functools.partial(UnreachableError, url))
