"""Brings blobs into a repository as they come: one is on its way while others are still being made.

Nix makes the blobs of an image one after another, with all processors. Each is sent once it is there, so a
push from nothing takes as long as the slower of the two, and not as both together.
"""

from __future__ import annotations

import functools
import os
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from cog_nix.fetch.parallel import Crew, run_all
from cog_nix.fetch.retry import Cancelled
from cog_nix.fetch.transport import whole_number
from cog_nix.registry.failures import MissingBlobsError
from cog_nix.registry.upload import Upload
from cog_nix.registry.weights import descriptors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Self

    from cog_nix.registry.client import Repository
    from cog_nix.registry.upload import Blob, Outcome
    from cog_nix.report import Reporter
    from cog_nix.weights.model import LockedWeight

_WORKERS = 5
"""As many uploads at a time as upstream has."""
_MOST_WORKERS = 256


def workers(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many blobs go at a time: ``COG_PUSH_CONCURRENCY``, as upstream has it."""
    return min(whole_number(environment.get("COG_PUSH_CONCURRENCY", "")) or _WORKERS, _MOST_WORKERS)


class Delivery:
    """Blobs on their way into a repository. Use it as a context manager; a failure ends what is going on.

    Args:
        repository: where to; it is opened when it is needed, unless it is.
        sources: returns the other repositories of the registry that may have a blob, of its digest.
        weights: of a bundle; their manifests have to be in the repository before anything is uploaded.
        is_open: whether the repository was spoken to already, and stays open.
    """

    def __init__(
        self,
        repository: Repository,
        sources: Callable[[str], tuple[str, ...]],
        weights: Sequence[LockedWeight] = (),
        *,
        is_open: bool = False,
    ) -> None:
        self._repository, self._sources, self._weights = repository, sources, weights
        repository.cancelled = self._cancelled = repository.cancelled or threading.Event()
        self._is_open = is_open
        self._beside: list[dict[str, Any]] | None = None
        self._opening = threading.Lock()
        self._stack = ExitStack()
        self._crew: Crew[None] = Crew(workers(), self._cancelled)
        self._lock = threading.Lock()
        self._left = 0
        self._advance: Callable[[int], None] = lambda _: None
        self._taken: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}
        """What became of blobs, by digest."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self._crew.give_up()
        self._stack.close()

    def open(self) -> tuple[Repository, list[dict[str, Any]]]:
        """Speak to the repository, if that was not done yet.

        Returns:
            The repository, and what an index says of the weights (:func:`.weights.descriptors`).

        Raises:
            RegistryError: it cannot be reached, or lacks weights.
            Cancelled: the work was given up.
        """
        with self._opening:
            if self._cancelled.is_set():
                raise Cancelled
            if not self._is_open:
                self._stack.enter_context(self._repository)
                self._is_open = True
            if self._beside is None:
                self._beside = descriptors(self._repository, self._weights, workers(), self._cancelled)
        return self._repository, self._beside

    def expect(self, digests: Iterable[str]) -> None:
        """Ask for the right to mount any of these blobs, with one token for all."""
        self._repository.include(sorted({one for digest in digests for one in self._sources(digest)}))

    def take(self, blob: Blob) -> None:
        """Begin to bring a blob there.

        Raises:
            RegistryError: one before it could not be brought there.
        """
        if blob.digest not in self._taken:
            self._add(blob, functools.partial(self._bring, blob))

    def finish(self, blobs: Sequence[Blob], reporter: Reporter) -> None:
        """Bring the other blobs there, the largest first, and wait for all.

        Args:
            blobs: which.
            reporter: shows the bytes that go over.

        Raises:
            RegistryError: the registry refuses, or cannot be reached.
        """
        uploads = [Upload(self.open()[0], blob) for blob in blobs if blob.digest not in self._taken]
        tasks = [functools.partial(self._spare, one) for one in uploads]
        found = run_all(tasks, workers(), self._cancelled)
        left = [upload for upload, spared in zip(uploads, found, strict=True) if not spared]
        if absent := tuple(one.blob.digest for one in left if one.blob.content is None):
            raise MissingBlobsError(absent)
        with reporter.bytes_bar("Uploading", self._left + sum(one.blob.size for one in left)) as bar:
            for upload in sorted(left, key=lambda upload: -upload.blob.size):
                self._add(upload.blob, functools.partial(self._send, upload))
            with self._lock:
                bar.expect(self._left)
                self._advance = bar.advance
            self._crew.wait()

    def _add(self, blob: Blob, task: Callable[[], None]) -> None:
        self._taken.add(blob.digest)
        self._count(-blob.size)
        self._crew.add(task)

    def _bring(self, blob: Blob) -> None:
        self.expect((blob.digest,))
        upload = Upload(self.open()[0], blob)
        if self._spare(upload):
            self._count(blob.size)
        else:
            self._send(upload)

    def _spare(self, upload: Upload) -> bool:
        """Whether a blob need not be uploaded."""
        outcome = upload.spare(self._sources(upload.blob.digest))
        if outcome:
            self.outcomes[upload.blob.digest] = outcome
        return outcome is not None

    def _send(self, upload: Upload) -> None:
        self.outcomes[upload.blob.digest] = upload.run(self._count)

    def _count(self, amount: int) -> None:
        """Note bytes that went over, or have yet to, where they are negative."""
        with self._lock:
            self._left -= amount
            self._advance(amount)


def upload_all(
    repository: Repository,
    blobs: Sequence[Blob],
    sources: Callable[[str], tuple[str, ...]],
    reporter: Reporter,
) -> list[Outcome]:
    """Bring all blobs into a repository that has answered; return what became of each, in order.

    Args:
        repository: where to; its ``cancelled`` ends the work when set.
        blobs: which.
        sources: returns the other repositories of the registry that may have a blob, of its digest.
        reporter: shows the bytes that go over.

    Raises:
        RegistryError: the registry refuses, or cannot be reached.
    """
    with Delivery(repository, sources, is_open=True) as delivery:
        delivery.finish(blobs, reporter)
    return [delivery.outcomes[blob.digest] for blob in blobs]
