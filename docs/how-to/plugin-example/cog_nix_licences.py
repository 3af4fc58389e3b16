"""A plugin for cog-nix: refuses packages that may not be shipped, and says in the image who looked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.lock.model import Lock

REFUSED = {"ffmpeg": "built with --enable-gpl"}


@hookimpl
def image_labels(lock: Lock) -> Mapping[str, str]:
    """Look at what was resolved; runs while a lock is made, so a refused package never gets into one."""
    for deb in lock.system:
        if reason := REFUSED.get(deb.package):
            raise LockError(
                f"{deb.package} may not be shipped: {reason}.",
                hint="Remove it from system_packages, or ask for an exception.",
            )
    return {"org.example.licences": f"{len(lock.system)} system packages checked"}
