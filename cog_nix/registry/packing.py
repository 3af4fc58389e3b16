"""How a registry gets layers when nobody says: ``--compression auto``.

Zstandard needs OCI's manifests and whoever pulls to know it: containerd since 1.5, Docker since 23, Podman,
CRI-O and skopeo do. A registry keeps blobs as they are. What is known of some is kept here; of others it is
asked whether they know distribution-spec 1.1, which is younger than Zstandard everywhere.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from cog_nix.fetch.retry import RetryPolicy
from cog_nix.registry.client import OK, Repository
from cog_nix.registry.destination import REPLICATE
from cog_nix.registry.failures import NOT_FOUND
from cog_nix.registry.layout import OCI_INDEX
from cog_nix.system.digests import digest_of
from cog_nix.system.packing import USUAL

if TYPE_CHECKING:
    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.reference import Reference
    from cog_nix.system.packing import Packing

_TAKE_ZSTANDARD = re.compile(
    r"docker\.io|index\.docker\.io|ghcr\.io|quay\.io|registry\.gitlab\.com"
    r"|public\.ecr\.aws|\d+\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com|(.+\.)?gcr\.io|.+-docker\.pkg\.dev"
    r"|.+\.azurecr\.io"
)
"""Registries that say so in their manuals."""
_BETTER: Packing = "zstd"


def known(registry: str) -> Packing | None:
    """Return what a registry is known to get best; None: nothing is known of it."""
    if registry == REPLICATE:
        return USUAL  # what reads it there is not public
    return _BETTER if _TAKE_ZSTANDARD.fullmatch(registry) else None


def best(reference: Reference, credentials: Credentials, policy: RetryPolicy | None = None) -> Packing:
    """Return how a registry gets layers.

    Args:
        reference: where they go.
        credentials: for its registry.
        policy: how often to try again; None: as usual.

    Raises:
        RegistryError: the registry refuses, or cannot be reached.
    """
    if (found := known(reference.registry)) is not None:
        return found
    asked = f"referrers/{digest_of(b'')}"
    with Repository(reference, credentials, (), policy or RetryPolicy(), threading.Event()) as repository:
        answer = repository.send("GET", asked, (OK, NOT_FOUND, 400, 405))
    lists = answer.status_code == OK and OCI_INDEX in answer.headers.get("content-type", "")
    return _BETTER if lists else USUAL
