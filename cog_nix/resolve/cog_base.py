"""The system packages of Cog's base image, for projects that lean on what it has and do not name it.

Upstream builds most images on top of a base image of its own, which has these packages besides Python. Here
an image has what is asked for and what that links to; the base image's packages come when they are asked for,
with ``--use-cog-base-image`` or ``cog_base`` in cog-nix.toml. The lock keeps the answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cog_nix.config.model import Settings
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.manager import Plugins

FLAG = "--use-cog-base-image"
PLACE = f"Cog's base image ({FLAG})"
"""Where its packages are asked for, as errors and explanations name it."""


def completed(settings: Settings, previous: Lock | None, asked: bool | None = None) -> Settings:  # noqa: FBT001 - or unsaid
    """Return the settings with an answer to whether the base image's packages come.

    Args:
        settings: cog-nix.toml, which may have one.
        previous: the lock so far; its answer stays where nobody gives another.
        asked: the flag, which counts before all else; None: not given.
    """
    answers = (asked, settings.system.cog_base, previous.cog_base if previous else None)
    answer = next((one for one in answers if one is not None), False)
    return settings.with_system(replace(settings.system, cog_base=answer))


def packages(settings: Settings, plugins: Plugins) -> tuple[str, ...]:
    """Return the base image's packages where they come."""
    return plugins.describe_system().cog_base if settings.system.cog_base else ()
