"""What an image is for: an operating system and a processor, by the names that everybody has for them.

The table is ``platforms.json``, one place for Python and for the Nix library. Names are OCI's (image-spec,
config.md, "architecture"), as Go has them; other spellings that users type mean the same
(:func:`parse_platform`).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Platform:
    """An operating system and a processor."""

    os: str
    """OCI's name, ``linux``."""
    architecture: str
    """OCI's name, ``arm64``."""
    debian: str
    """Debian's name of the architecture (Debian Policy 11.1)."""
    triplet: str
    """Of Debian's multiarch folders, ``aarch64-linux-gnu``."""
    machine: str
    """What uname(2) says, as wheels' tags (PEP 600) and markers (PEP 508) have it: ``aarch64``."""
    loader: str
    """The dynamic loader, relative to the root (the processor's ABI)."""
    nix_system: str
    """Nix's name, ``aarch64-linux``."""
    elf_machine: int
    """``e_machine`` of its programs (elf.h)."""
    linker_flags: int
    """What the dynamic linker's cache says of its libraries (glibc, ``dl-cache.h``)."""
    oldest_glibc: int
    """Minor version of the oldest C library 2 that wheels are named for (PEP 600)."""

    @property
    def name(self) -> str:
        """``linux/arm64``."""
        return f"{self.os}/{self.architecture}"

    @property
    def is_usual(self) -> bool:
        """Whether it is the one that is meant where nothing says which."""
        return self == AMD64

    def __str__(self) -> str:
        return self.name


def _read() -> Mapping[str, Platform]:
    text = Path(__file__).with_name("platforms.json").read_text("utf-8")
    return MappingProxyType({name: Platform(**one) for name, one in json.loads(text).items()})


PLATFORMS = _read()
"""All that images can be made for, by name."""
AMD64 = PLATFORMS["linux/amd64"]
"""What is meant where nothing says which."""
ARM64 = PLATFORMS["linux/arm64"]

_SPELLINGS = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
_BASELINES = {"arm64": "v8", "amd64": "v1"}
"""The variant that is meant where none is named (containerd, ``platforms/database.go``)."""


def parse_platform(text: str) -> Platform | None:
    """Return the platform of a name: ``linux/arm64``, ``arm64``, ``linux/aarch64``, ``linux/arm64/v8``.

    Args:
        text: what somebody wrote.

    Returns:
        None: it is none that images can be made for.
    """
    parts = text.strip().lower().split("/")
    system, architecture, *variant = parts if "/" in text else ["linux", *parts]
    architecture = _SPELLINGS.get(architecture, architecture)
    if variant and variant != [_BASELINES.get(architecture)]:
        return None
    return PLATFORMS.get(f"{system}/{architecture}")


def host_platform() -> Platform | None:
    """Return this machine's; None where images cannot be made for it."""
    machine = os.uname()
    return next(
        (
            one
            for one in PLATFORMS.values()
            if (one.os, one.machine) == (machine.sysname.lower(), machine.machine)
        ),
        None,
    )


BUILDER = host_platform() or AMD64
"""What builds run on. Programs of an image for another platform run through an emulator. Where images cannot
be made for this machine, none is built here."""


def nix_arguments(platform: Platform) -> dict[str, str]:
    """Return what the Nix library is told of what an image is for, and of what builds it.

    Args:
        platform: what the image is for.
    """
    asked = {"platform": platform, "builder": BUILDER}
    return {name: one.name for name, one in asked.items() if not one.is_usual}
