"""The system packages of Cog's base image, for projects that lean on what it has and do not name it.

Upstream builds most images on top of a base image of its own, which has these packages besides Python. Here
an image has what is asked for and what that links to; the base image's packages come when they are asked for,
with ``--use-cog-base-image`` or ``cog_base`` in cog-nix.toml. The lock keeps the answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.config.model import Settings
    from cog_nix.lock.model import Lock

FLAG = "--use-cog-base-image"
PLACE = f"Cog's base image ({FLAG})"
"""Where its packages are asked for, as errors and explanations name it."""

PACKAGES = (
    "build-essential",
    "cmake",
    "curl",
    "ffmpeg",
    "findutils",
    "g++",
    "gcc",
    "git",
    "libavcodec-dev",
    "libcairo2-dev",
    "libfontconfig1",
    "libgirepository1.0-dev",
    "libgl1",
    "libglib2.0-0",
    "libglx-mesa0",
    "libopencv-dev",
    "libsm6",
    "libsndfile1",
    "libssl-dev",
    "libunistring-dev",
    "libxext6",
    "libxrender1",
    "sox",
    "unzip",
    "wget",
    "zip",
    "zstd",
)
"""What upstream's base image has, version 0.23.1 (``pkg/dockerfile/base.go``)."""


def settled(settings: Settings, former: Lock | None, asked: bool | None = None) -> Settings:  # noqa: FBT001 - or unsaid
    """Return the settings with an answer to whether the base image's packages come.

    Args:
        settings: cog-nix.toml, which may have one.
        former: the lock so far; its answer stays where nobody gives another.
        asked: the flag, which counts before all else; None: not given.
    """
    answers = (asked, settings.debian.cog_base, former.cog_base if former else None)
    answer = next((one for one in answers if one is not None), False)
    return replace(settings, debian=replace(settings.debian, cog_base=answer))


def with_base(names: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """Return the system packages of a project with those of the base image, each once."""
    return tuple(dict.fromkeys((*names, *(PACKAGES if settings.debian.cog_base else ()))))


def places(settings: Settings) -> dict[str, str]:
    """Return where the base image's packages are asked for; nothing when they do not come."""
    return dict.fromkeys(PACKAGES, PLACE) if settings.debian.cog_base else {}
