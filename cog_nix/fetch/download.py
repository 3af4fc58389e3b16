"""Brings one file into the store: resumed where it stopped, hashed as it streams."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from cog_nix.fetch.failures import CacheError, TransientError, UnreachableError, WrongFileError
from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.retry import Cancelled, RetryPolicy, retry
from cog_nix.fetch.transport import CHUNK, PARTIAL, RANGE_NOT_SATISFIABLE, whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from cog_nix.fetch.store import Store
    from cog_nix.fetch.transport import Opener, Response
    from cog_nix.lock.model import Artifact
    from cog_nix.report import Bar


class Digest(Protocol):
    """What a file's bytes are hashed with."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the sha256 of all."""


NewDigest = Callable[[], Digest]

_REPLACED = (
    "Name another mirror if this one is broken. If the file was replaced on purpose, lock again"
    " and review the change."
)


@dataclass
class Download:
    """One file on its way into the store.

    Args:
        artifact: what is wanted.
        store: where it goes.
        transport: how it comes.
        policy: how often to try.
        cancelled: ends the work when set.
        advance: is told of new bytes, each byte of the file once.
    """

    artifact: Artifact
    store: Store
    transport: Opener
    policy: RetryPolicy
    cancelled: threading.Event
    advance: Callable[[int], None]
    new_digest: NewDigest = hashlib.sha256
    _told: int = 0

    def run(self) -> Path:
        """Return the path of the whole file, fetched or found.

        Raises:
            FetchError: unreachable, refused, another hash, or the cache cannot be written.
            Cancelled: the work was given up.
        """
        try:
            with self.store.claim(self.artifact, self.cancelled) as part:
                if part is not None:
                    return self._fill(part)
        except OSError as error:
            raise CacheError(self.store.root, error) from error
        found = self.store.held(self.artifact)
        if found is None:
            raise Cancelled
        self._tell(self.artifact.size)
        return found

    def _fill(self, part: BinaryIO) -> Path:
        try:
            self._fetch(part)
        except WrongFileError:
            self.store.discard(self.artifact)
            raise
        except BaseException:
            if part.seek(0, 2) == 0:
                self.store.discard(self.artifact)
            raise
        return self.store.enter(part, self.artifact)

    def _fetch(self, part: BinaryIO) -> None:
        resumed = part.seek(0, 2) > 0
        try:
            self._attempts(part)
        except WrongFileError:
            if not resumed:
                raise
            # What an earlier run left may be of another file: begin anew, once.
            part.truncate(0)
            self._attempts(part)

    def _attempts(self, part: BinaryIO) -> None:
        retry(
            lambda: self._attempt(part),
            self.policy,
            partial(UnreachableError, self.artifact.url),
            cancelled=self.cancelled,
            progress=lambda: part.seek(0, 2),
        )

    def _attempt(self, part: BinaryIO) -> None:
        """Fetch what is missing of the part; return once its hash is right."""
        digest = self.new_digest()
        offset = self._hash_part(part, digest)
        size = self.artifact.size
        if not offset or offset != size:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            with self.transport.open(self.artifact.url, headers) as response:
                if offset and not _continues(response, offset):
                    part.seek(0)
                    part.truncate()
                    if response.status == RANGE_NOT_SATISFIABLE:
                        raise TransientError("the server cannot continue the file")
                    digest, offset = self.new_digest(), 0
                offset = self._append(part, digest, offset, response)
            if offset < size and offset == _whole_size(response):
                raise self._wrong(f"{offset} bytes")
        if offset < size:
            raise TransientError(f"the connection ended after {offset} of {size} bytes")
        if digest.hexdigest() != self.artifact.sha256:
            raise self._wrong(f"sha256 {digest.hexdigest()}, {offset} bytes")

    def _append(self, part: BinaryIO, digest: Digest, offset: int, response: Response) -> int:
        for chunk in response.chunks:
            if self.cancelled.is_set():
                raise Cancelled
            write_all(part, chunk)
            digest.update(chunk)
            offset += len(chunk)
            if self.artifact.size and offset > self.artifact.size:
                raise self._wrong(f"more than {self.artifact.size} bytes")
            self._tell(offset)
        return offset

    def _hash_part(self, part: BinaryIO, digest: Digest) -> int:
        size = part.seek(0, 2)
        if self.artifact.size and size > self.artifact.size:
            part.truncate(0)
        part.seek(0)
        while chunk := part.read(CHUNK):
            digest.update(chunk)
            self._tell(part.tell())
        return part.tell()

    def _tell(self, position: int) -> None:
        # A file that starts anew is not counted twice.
        if position > self._told:
            self.advance(position - self._told)
            self._told = position

    def _wrong(self, got: str) -> WrongFileError:
        return WrongFileError(self.artifact, "what came is another file", got, hint=_REPLACED)


def download_all(
    artifacts: Sequence[Artifact],
    store: Store,
    transport: Opener,
    policy: RetryPolicy,
    *,
    workers: int,
    cancelled: threading.Event,
    bar: Bar,
    new_digests: Mapping[str, NewDigest] | None = None,
) -> dict[str, Path]:
    """Bring files into the store, so many at a time; return their paths by sha256.

    Args:
        artifacts: which.
        store: where they go.
        transport: how they come.
        policy: how often to try.
        workers: how many at a time.
        cancelled: ends the work when set.
        bar: shows it.
        new_digests: by sha256, what makes the hash of a file, where more than the hash is wanted.

    Raises:
        FetchError: the first that failed.
    """
    advance = counter(bar)
    # The largest first: a big file that starts last would run on alone.
    wanted = sorted(artifacts, key=lambda artifact: -artifact.size)
    made = new_digests or {}
    downloads = [
        Download(one, store, transport, policy, cancelled, advance, made.get(one.sha256, hashlib.sha256))
        for one in wanted
    ]
    paths = run_all([download.run for download in downloads], workers, cancelled)
    return {artifact.sha256: path for artifact, path in zip(wanted, paths, strict=True)}


def counter(bar: Bar) -> Callable[[int], None]:
    """Return what adds bytes to a bar from any thread."""
    lock = threading.Lock()

    def advance(amount: int) -> None:
        with lock:
            bar.advance(amount)

    return advance


def _continues(response: Response, offset: int) -> bool:
    """Whether the body starts where we asked (RFC 9110, sections 14.4 and 15.3.7)."""
    begins = response.headers.get("content-range", "").removeprefix("bytes").strip()
    return response.status == PARTIAL and begins.startswith(f"{offset}-")


def _whole_size(response: Response) -> int | None:
    """Return the size of the whole file as the server has it (RFC 9110, sections 8.6 and 14.4), or None."""
    if response.headers.get("content-encoding"):
        return None
    partial = response.status == PARTIAL
    told = response.headers.get("content-range" if partial else "content-length", "").rpartition("/")[2]
    return whole_number(told)


def write_all(part: BinaryIO, chunk: bytes) -> None:
    """Write bytes to a file without a buffer."""
    view = memoryview(chunk)
    while view:  # a raw file may take less than it was given
        view = view[part.write(view) :]
