"""Brings files into the cache from wherever they are: from their own URLs, or else from other places.

One file that cannot be had does not end the others: what is missing in the end is told together, and what has
come is kept.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.errors import FetchError
from cog_nix.fetch import commits, git, urls
from cog_nix.fetch.download import Download, counter
from cog_nix.fetch.failures import CacheError, TransientError, UnreachableError, WrongFileError
from cog_nix.fetch.origins import Alternative, Attempt, NowhereError
from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.retry import Cancelled, retry
from cog_nix.fetch.transport import Transport
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.fetch.origins import Elsewhere
    from cog_nix.fetch.retry import RetryPolicy
    from cog_nix.fetch.store import Store
    from cog_nix.lock.model import Artifact
    from cog_nix.report import Reporter

_OTHERS = "A submodule or an attribute (export-ignore, export-subst) makes them differ: git has to fetch it."
_GENTLE_ATTEMPTS = 8
_GENTLE_WAIT = 120.0
"""Seconds that a shared service may make us wait."""
_POLL = 0.1


@dataclass
class Search:
    """Looks for files in one place after the other.

    Args:
        store: where they go.
        credentials: user and password by origin.
        policy: how often to try.
        reporter: shows one bar for all files, and hears where they came from.
        elsewhere: names other places.
    """

    store: Store
    credentials: Mapping[urls.Origin, urls.Credentials]
    policy: RetryPolicy
    reporter: Reporter
    elsewhere: Elsewhere
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _asking: threading.Lock = field(default_factory=threading.Lock)
    """Plugins are asked by one thread at a time."""
    _turns: dict[urls.Origin, threading.Lock] = field(default_factory=dict)
    """Of shared services: who holds one may ask."""
    _silent: dict[urls.Origin, UnreachableError] = field(default_factory=dict)
    """Servers to which there was no connection, however often it was tried: nobody waits for them again."""

    def run(
        self, wanted: Sequence[Artifact], failed: Mapping[Artifact, FetchError], *, workers: int
    ) -> dict[str, Path]:
        """Return the paths of files, by sha256.

        Args:
            wanted: whose URLs are asked.
            failed: others, with what came of their own URLs.
            workers: downloads at once.

        Raises:
            FetchError: there is no other place, and a server refuses; or the cache cannot be written.
            NowhereError: several places were asked in vain.
        """
        # The largest first: a big file that starts last would run on alone.
        order = [*sorted(wanted, key=lambda artifact: -artifact.size), *failed]
        files = f"{len(order)} files" if len(order) > 1 else order[0].filename
        bar = self.reporter.bytes_bar(f"Fetching {files}", sum(artifact.size for artifact in order))
        with (
            bar as shown,
            Transport(self.credentials) as usual,
            Transport(self.credentials, longest_wait=_GENTLE_WAIT) as gentle,
        ):
            usual.prepare()
            gentle.prepare()
            line = _Line(self, usual, gentle, counter(shown))
            tasks = [partial(line.fetch, artifact, failed.get(artifact)) for artifact in order]
            came = dict(zip(order, run_all(tasks, workers, self._cancelled), strict=True))
        tried = {artifact: found for artifact, found in came.items() if isinstance(found, tuple)}
        if all(len(attempts) == 1 for attempts in tried.values()) and tried:
            raise next(iter(tried.values()))[0].failure
        if tried:
            raise NowhereError(tried)
        return {artifact.sha256: found for artifact, found in came.items() if not isinstance(found, tuple)}

    def alternatives(self, artifact: Artifact) -> Iterator[Alternative]:
        """Yield where a file may be beside its own URL."""
        if git.is_git(artifact.url):
            for url in commits.archives(artifact.url):
                yield Alternative(url, "the commit's files", of_commit=True)
        with self._asking:
            found = self.elsewhere([artifact]).get(artifact.sha256, ())
        known = {artifact.url}
        for place in found:
            if place.url not in known:
                known.add(place.url)
                yield place

    def silent(self, url: str) -> UnreachableError | None:
        """Return what to say of a server that is known not to answer; None: it may."""
        known = self._silent.get(urls.origin(url))
        return UnreachableError(url, known.reason, known.attempts) if known else None

    def note(self, url: str, error: FetchError) -> None:
        """Remember a server to which there is no connection."""
        cause = error.__cause__
        if isinstance(error, UnreachableError) and isinstance(cause, TransientError) and not cause.connected:
            self._silent[urls.origin(url)] = error

    @contextmanager
    def turn(self, url: str) -> Iterator[None]:
        """Wait until nobody else asks a shared service.

        Raises:
            Cancelled: the work was given up.
        """
        lock = self._turns.setdefault(urls.origin(url), threading.Lock())
        while not lock.acquire(timeout=_POLL):
            if self._cancelled.is_set():
                raise Cancelled
        try:
            yield
        finally:
            lock.release()

    def remade(self, artifact: Artifact, transport: Transport, policy: RetryPolicy) -> Path:
        """Make the archive of a commit of the files that a server gives of it; bring it into the store."""
        url = artifact.url
        try:
            with scratch.folder("commit") as folder, self.store.new() as sink:
                packed = folder / "packed"

                def read() -> None:
                    with transport.open(url) as response, packed.open("wb") as stream:
                        stream.writelines(response.chunks)

                retry(read, policy, partial(UnreachableError, url), cancelled=self._cancelled)
                commits.rewrite(url, packed, folder / "unpacked", sink, artifact.size)
                sha256, size = self.store.adopt(sink)
        except OSError as error:
            raise CacheError(self.store.root, error) from error
        if sha256 != artifact.sha256:
            got = f"sha256 {sha256}, {size} bytes"
            raise WrongFileError(artifact, "the commit's files are others there", got, hint=_OTHERS)
        return self.store.path(sha256)

    def download(
        self, artifact: Artifact, transport: Transport, policy: RetryPolicy, advance: Callable[[int], None]
    ) -> Path:
        """Bring one file into the store."""
        return Download(artifact, self.store, transport, policy, self._cancelled, advance).run()


@dataclass(frozen=True)
class _Line:
    """What the threads of one search share."""

    search: Search
    usual: Transport
    gentle: Transport
    advance: Callable[[int], None]

    def fetch(self, artifact: Artifact, failure: FetchError | None) -> Path | tuple[Attempt, ...]:
        """Return a file's path, or all that was tried.

        Args:
            artifact: the file.
            failure: what came of its own URL; None: that was not asked yet.
        """
        own = Alternative(artifact.url, "")
        attempts = [Attempt("", artifact.url, failure)] if failure else []
        if not failure:
            found = self._try(own, artifact)
            if not isinstance(found, Attempt):
                return found
            attempts.append(found)
        for place in self.search.alternatives(artifact):
            found = self._try(place, artifact)
            if not isinstance(found, Attempt):
                self.search.reporter.log(f"{artifact.filename} came from {urls.shown(place.url)}")
                return found
            attempts.append(found)
        return tuple(attempts)

    def _try(self, place: Alternative, artifact: Artifact) -> Path | Attempt:
        wanted = replace(artifact, url=place.url)
        search, policy = self.search, self.search.policy
        try:
            if known := search.silent(place.url):
                return Attempt(place.title, place.url, known)
            if place.of_commit:
                return search.remade(wanted, self.usual, policy)
            if not place.gentle:
                return search.download(wanted, self.usual, policy, self.advance)
            patient = replace(policy, attempts=max(policy.attempts, _GENTLE_ATTEMPTS))
            with search.turn(place.url):
                if known := search.silent(place.url):
                    return Attempt(place.title, place.url, known)
                return search.download(wanted, self.gentle, patient, self.advance)
        except CacheError:
            raise
        except FetchError as error:
            search.note(place.url, error)
            return Attempt(place.title, place.url, error)
