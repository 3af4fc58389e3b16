"""Pushes an image from the store: blobs in parallel, manifest last. :func:`push` is the whole story."""

from __future__ import annotations

import functools
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.registry.client import ACCEPTED, CREATED, OK, Repository
from cog_nix.registry.delivery import Delivery, upload_all, workers
from cog_nix.registry.failures import NOT_FOUND, RefusedError, UnusableAnswerError
from cog_nix.registry.layout import OCI_INDEX, index_of
from cog_nix.registry.memory import Memory
from cog_nix.registry.weights import descriptors
from cog_nix.system.platforms import AMD64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.destination import Destination
    from cog_nix.registry.layout import Layout, Manifest
    from cog_nix.registry.upload import Outcome
    from cog_nix.report import Reporter
    from cog_nix.system.platforms import Platform
    from cog_nix.weights.model import LockedWeight

_UNKNOWN_BLOB = "BLOB_UNKNOWN"
"""In spec, "Error Codes", of a manifest: MANIFEST_BLOB_UNKNOWN."""
_TRIES = 6
_PAUSE = (0.2, 2.0)
"""Seconds between two."""


@dataclass(frozen=True)
class Pushed:
    """What a push did."""

    image: str
    """``registry/repository@sha256:…``."""
    model: str = ""
    """The same of a bundle's index; "" when the image itself was pushed."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """The references of a bundle's weights, by name, in the order of cog.yaml."""
    blobs: Mapping[str, Outcome] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    manifest: Manifest | None = None
    """The image's."""

    @property
    def named(self) -> str:
        """What the name that was pushed to stands for: an index or the image."""
        return self.model or self.image

    def total(self, outcome: Outcome) -> tuple[int, int]:
        """Return how many blobs had this outcome, and their bytes."""
        found = [digest for digest, one in self.blobs.items() if one == outcome]
        return len(found), sum(self.sizes[digest] for digest in found)


def push(
    layout: Layout,
    destination: Destination,
    delivery: Delivery,
    *,
    cache: Path,
    reporter: Reporter,
    platform: Platform = AMD64,
    alone: bool = True,
) -> Pushed:
    """Make a registry hold an image under the destination's name.

    Args:
        layout: the image.
        destination: where to.
        delivery: what :func:`begin` returned for this destination; stays open.
        cache: folder of the user's caches; what was pushed is remembered there.
        reporter: shows the bytes that go over.
        platform: what the image is for.
        alone: whether it gets the name; otherwise an index of several will (:func:`push_index`).

    Raises:
        RegistryError: the registry refuses, or cannot be reached. What was uploaded stays there.
    """
    target = destination.image
    memory = Memory(cache, target.registry)
    digests = [blob.digest for blob in layout.blobs]
    sources = functools.partial(memory.sources, repository=target.repository)
    model = ""
    delivery.expect(digests)
    # Missing weights are reported before anything is uploaded.
    repository, beside = delivery.open()
    delivery.finish(() if _is_there(repository, layout.manifest) else layout.blobs, reporter)
    outcomes: dict[str, Outcome] = {one: delivery.outcomes.get(one, "there") for one in digests}
    upload = functools.partial(upload_all, repository, layout.blobs, sources, reporter)
    _put_whole(repository, layout.manifest, target.tag if alone else layout.manifest.digest, upload)
    image = f"{target.name}@{layout.manifest.digest}"
    if destination.bundle and alone:
        index = index_of([(layout.manifest, platform)], beside)
        put_manifest(repository, index, destination.reference.tag)
        model = f"{target.name}@{index.digest}"
    try:
        memory.add(target, digests)
    except CogNixError as error:
        reporter.log(error.message)
    sizes = {blob.digest: blob.size for blob in layout.blobs}
    references = {
        one["annotations"]["run.cog.weight.name"]: f"{target.name}@{one['digest']}" for one in beside
    }
    return Pushed(image, model, references, outcomes, sizes, layout.manifest)


def begin(
    destination: Destination,
    credentials: Credentials,
    *,
    cache: Path,
    weights: Sequence[LockedWeight] = (),
    policy: RetryPolicy | None = None,
) -> Delivery:
    """Return what brings blobs to where an image goes, and mounts what other repositories have.

    Args:
        destination: where to.
        credentials: for its registry.
        cache: folder of the user's caches.
        weights: of a bundle; their manifests have to be in the repository.
        policy: how often to try again; None: as usual.
    """
    target = destination.image
    sources = functools.partial(Memory(cache, target.registry).sources, repository=target.repository)
    repository = Repository(target, credentials, (), policy or RetryPolicy(), threading.Event())
    return Delivery(repository, sources, weights if destination.bundle else ())


def push_index(
    pushed: Sequence[tuple[Pushed, Platform]],
    destination: Destination,
    credentials: Credentials,
    *,
    weights: Sequence[LockedWeight] = (),
) -> Pushed:
    """Give the destination's name to an index of images that the registry holds.

    Args:
        pushed: the images, and what each is for.
        destination: where they are.
        credentials: for its registry.
        weights: of a bundle.

    Raises:
        RegistryError: the registry refuses, or cannot be reached.
    """
    target = destination.image
    images = [(one.manifest, platform) for one, platform in pushed if one.manifest]
    cancelled = threading.Event()
    with Repository(target, credentials, (), RetryPolicy(), cancelled) as repository:
        beside = descriptors(repository, weights if destination.bundle else (), workers(), cancelled)
        index = index_of(images, beside)
        put_manifest(repository, index, destination.reference.tag)
    name = f"{target.name}@{index.digest}"
    return Pushed(
        image=name,
        model=name if destination.bundle else "",
        weights=pushed[0][0].weights,
        blobs={digest: outcome for one, _ in reversed(pushed) for digest, outcome in one.blobs.items()},
        sizes={digest: size for one, _ in pushed for digest, size in one.sizes.items()},
    )


def put_manifest(repository: Repository, manifest: Manifest, tag: str) -> None:
    """Give a repository a manifest (spec, "Pushing Manifests").

    Raises:
        RegistryError: it refuses, or says that it got something else.
    """
    headers = {"Content-Type": manifest.media_type}
    expected = (CREATED, OK, ACCEPTED)
    answer = repository.send("PUT", f"manifests/{tag}", expected, headers, manifest.data)
    said = answer.headers.get("docker-content-digest", manifest.digest)
    if said != manifest.digest:
        raise UnusableAnswerError(
            repository.reference.registry,
            f"stored {said} for {manifest.digest}",
            hint="A proxy or the registry changes manifests; push to another one.",
        )


def _put_whole(repository: Repository, manifest: Manifest, tag: str, upload: Callable[[], object]) -> None:
    """Give a repository an image's manifest; where it lacks a blob after all, that again, then the manifest.

    A registry that gets a blob from several pushes at once may lose sight of it for a moment.

    Raises:
        RegistryError: it still refuses.
    """
    for left in reversed(range(_TRIES)):
        try:
            put_manifest(repository, manifest, tag)
        except RefusedError as error:
            if not left or _UNKNOWN_BLOB not in error.said:
                raise
        else:
            return
        time.sleep(random.uniform(*_PAUSE))  # noqa: S311 - so that those who met do not meet again
        upload()


def _is_there(repository: Repository, manifest: Manifest) -> bool:
    """Whether the repository has the image already; then it has its blobs as well."""
    accepted = {"Accept": f"{manifest.media_type}, {OCI_INDEX}"}
    answer = repository.send("HEAD", f"manifests/{manifest.digest}", (OK, NOT_FOUND), accepted)
    return answer.status_code == OK
