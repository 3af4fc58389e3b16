"""Brings imported weights to the model's repository, and asks which of their layers it has."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cog_nix.fetch.parallel import run_all
from cog_nix.managed.importing import layers_of, locked
from cog_nix.registry.client import OK
from cog_nix.registry.delivery import workers
from cog_nix.registry.failures import NOT_FOUND
from cog_nix.registry.layout import Manifest
from cog_nix.registry.push import put_manifest
from cog_nix.registry.upload import Blob, Upload
from cog_nix.system.digests import digest_of
from cog_nix.weights import manifest
from cog_nix.weights.blob import LayerBlob
from cog_nix.weights.model import TAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.managed.source import Surroundings
    from cog_nix.registry.client import Repository
    from cog_nix.weights.model import LockedWeight

_CHECKS = 8
"""Requests at a time, where each is small."""


def publish(repository: Repository, weight: LockedWeight, around: Surroundings) -> tuple[LockedWeight, int]:
    """Make a repository hold a weight.

    Args:
        repository: the model's own.
        weight: whose files are in the store.
        around: what to work with.

    Returns:
        The weight as the repository has it, and the bytes that were sent. It is another one where the
        repository lacks a compressed layer that somebody else packed: the same files in a layer of our own.

    Raises:
        RegistryError: the registry refuses, or cannot be reached. What was uploaded stays there.
    """
    planned = layers_of(weight)
    missing = set(missing_layers(repository, weight, around))
    again = [one for one, layer in planned.items() if layer.digest in missing and layer.media_type != TAR]
    if again:
        planned |= {one: LayerBlob(one, around.store).measure() for one in again}
        weight = locked(weight.name, weight.target, weight.sources, planned, weight.imported)
        missing = set(missing_layers(repository, weight, around))
    sent = [
        Blob(layer.digest, layer.size, LayerBlob(one, around.store))
        for one, layer in planned.items()
        if layer.digest in missing
    ]
    total = sum(blob.size for blob in sent)
    with around.reporter.bytes_bar(f"Uploading {weight.name}", total) as bar:
        tasks = [partial(Upload(repository, one).run, bar.advance) for one in _largest_first(sent)]
        run_all(tasks, workers(around.environ), around.cancelled)
    _finish(repository, weight)
    return weight, total


def missing_layers(repository: Repository, weight: LockedWeight, around: Surroundings) -> list[str]:
    """Return the digests of those layers of a weight that a repository does not have, in their order.

    Raises:
        RegistryError: the registry refuses, or cannot be reached.
    """

    def has(digest: str) -> bool:
        return repository.send("HEAD", f"blobs/{digest}", (OK, NOT_FOUND)).status_code == OK

    digests = [layer.digest for layer in weight.layers]
    found = run_all([partial(has, digest) for digest in digests], _CHECKS, around.cancelled)
    return [digest for digest, is_there in zip(digests, found, strict=True) if not is_there]


def _largest_first(blobs: Sequence[Blob]) -> list[Blob]:
    return sorted(blobs, key=lambda blob: -blob.size)


def _finish(repository: Repository, weight: LockedWeight) -> None:
    """Send the configuration, then the manifest (distribution-spec, "Pushing Manifests")."""
    described = manifest.config(weight)
    upload = Upload(repository, Blob(digest_of(described), len(described), described))
    if not upload.spare():
        upload.run(lambda _: None)
    put_manifest(repository, Manifest(manifest.OCI_MANIFEST, manifest.manifest(weight)), manifest.tag(weight))
