"""Images from registries, for the runtime without a daemon."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError, ImageError
from cog_nix.image.description import with_tag
from cog_nix.image.failures import ImageNotPulledError
from cog_nix.registry import credentials
from cog_nix.registry.pull import pull
from cog_nix.registry.reference import Reference
from cog_nix_hooks.bundle.images import HeldImage
from cog_nix_hooks.bundle.layers import lock, remove

if TYPE_CHECKING:
    from cog_nix.report import Reporter
    from cog_nix.system.platforms import Platform
    from cog_nix_hooks.bundle.images import ImageStore


def pull_image(
    store: ImageStore, reference: str, reporter: Reporter, platform: Platform | None = None
) -> None:
    """Hold an image of a registry under the name that it was asked for by.

    Layers that other images have are not fetched. What has come is kept if this is broken off, and taken up
    by the next pull of any image.

    Raises:
        ImageError: it cannot be fetched or unpacked.
    """
    store.check(reference)
    folder = store.root / "pulled"
    reporter.step(f"Pulling {reference}")
    try:
        wanted = Reference.parse(reference)
        known = credentials.find(wanted.registry)
        with lock(store.root / "pull.lock", fcntl.LOCK_EX):
            done = False
            while not done:  # a build elsewhere may remove a layer that was held when we looked
                found = pull(
                    wanted,
                    known,
                    folder=folder,
                    held=store.layers.has,
                    reporter=reporter,
                    platform=platform,
                )
                image = HeldImage.of(found.id, found.diff_ids, found.config)
                done = store.add(image, found.layers, with_tag(reference), reporter)
            if folder.exists():
                remove(folder)
    except ImageError:
        raise
    except CogNixError as error:
        hint = error.hint or "Check the name, and log in with `cog-nix login` if it is private."
        raise ImageNotPulledError(reference, error.message, hint=hint) from error
