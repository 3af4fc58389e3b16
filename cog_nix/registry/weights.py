"""The weights of a bundle: manifests that `cog weights import` has brought to the repository before.

A push uploads none of their files. It asks for each manifest by its digest, and names it in the index beside
the image (upstream: ``pkg/model/pusher.go`` and ``index_factory.go``, version 0.23.1).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RegistryError
from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.transport import whole_number
from cog_nix.registry.client import OK
from cog_nix.registry.failures import NOT_FOUND
from cog_nix.registry.layout import OCI_MANIFEST

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from cog_nix.registry.client import Repository
    from cog_nix.weights.model import LockedWeight

ARTIFACT = "application/vnd.cog.weight.v1"
"""``artifactType`` of a weight's manifest."""
_UNKNOWN = {"architecture": "unknown", "os": "unknown"}
"""The platform of what is no image, so that nothing pulls it for one."""


def descriptors(
    repository: Repository, weights: Sequence[LockedWeight], workers: int, cancelled: threading.Event
) -> list[dict[str, Any]]:
    """Return what an index says of each weight, in order.

    Args:
        repository: where the image goes, and where the weights have to be.
        weights: as ``weights.lock`` has them.
        workers: how many are asked for at a time.
        cancelled: ends the asking when set.

    Raises:
        RegistryError: the repository does not have one of them, or has something else.
    """
    asked = [functools.partial(_descriptor, repository, weight) for weight in weights]
    return run_all(asked, workers, cancelled)


def _descriptor(repository: Repository, weight: LockedWeight) -> dict[str, Any]:
    """Return a descriptor in the order of keys that Go's library writes."""
    name = repository.reference.name
    if not weight.digest:
        raise RegistryError(
            f'weight "{weight.name}": missing manifest digest in lockfile',
            hint="Run `cog-nix weights import` again.",
        )
    accepted = {"Accept": OCI_MANIFEST}
    answer = repository.send("HEAD", f"manifests/{weight.digest}", (OK, NOT_FOUND), accepted)
    if answer.status_code == NOT_FOUND:
        raise RegistryError(
            f'weight "{weight.name}" from weights.lock was not found in target repository "{name}" '
            f"({name}@{weight.digest})",
            hint="Run `cog-nix weights import` for that repository before pushing.",
        )
    said = answer.headers.get("docker-content-digest", weight.digest)
    if said != weight.digest:
        raise RegistryError(f'weight "{weight.name}": registry returned digest {said} for {weight.digest}')
    annotations = {
        "run.cog.weight.name": weight.name,
        "run.cog.weight.set-digest": weight.set_digest,
        "run.cog.weight.size.uncompressed": str(weight.size) if weight.size > 0 else "",
    }
    return {
        "mediaType": answer.headers.get("content-type", OCI_MANIFEST),
        "size": whole_number(answer.headers.get("content-length", "")) or 0,
        "digest": weight.digest,
        "annotations": {key: value for key, value in annotations.items() if value},
        "platform": _UNKNOWN,
        "artifactType": ARTIFACT,
    }
