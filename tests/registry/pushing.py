"""A push of which nothing has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cog_nix.registry import push as product

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.fetch.retry import RetryPolicy
    from cog_nix.registry.credentials import Credentials
    from cog_nix.registry.destination import Destination
    from cog_nix.registry.layout import Layout
    from cog_nix.weights.model import LockedWeight


def push(
    layout: Layout,
    destination: Destination,
    credentials: Credentials,
    *,
    cache: Path,
    weights: Sequence[LockedWeight] = (),
    policy: RetryPolicy | None = None,
    **options: Any,
) -> product.Pushed:
    """Push an image, from the first question to the registry on."""
    with product.begin(destination, credentials, cache=cache, weights=weights, policy=policy) as delivery:
        return product.push(layout, destination, delivery, cache=cache, **options)
