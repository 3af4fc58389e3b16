"""What the image is for, and what builders run on: where these differ, its programs run through an emulator.

Nix says so in the variable ``COG_NIX_PLATFORM``, as JSON with what ``cog_nix/system/platforms.json`` has of
the platform. Without it, the image is for linux/amd64.

The kernel starts an emulator for programs of another processor (binfmt_misc), which asks the kernel for what
these ask for, in this machine's own calls. So what a filter or a tracer sees is the same for every platform.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

VARIABLE = "COG_NIX_PLATFORM"


class Target(NamedTuple):
    """A platform, by those of its names that builders need; linux/amd64's where nothing else is said."""

    architecture: str = "amd64"
    """OCI's name."""
    debian: str = "amd64"
    triplet: str = "x86_64-linux-gnu"
    """Of Debian's multiarch folders."""
    loader: str = "lib64/ld-linux-x86-64.so.2"
    """The dynamic loader, relative to the root."""
    elf_machine: int = 62
    """``e_machine`` of its programs (elf.h)."""
    linker_flags: int = 0x0303
    """What the dynamic linker's cache says of its libraries (glibc, ``dl-cache.h``)."""


_AMD64 = Target()
_ARM64 = Target("arm64", "arm64", "aarch64-linux-gnu", "lib/ld-linux-aarch64.so.1", 183, 0x0A03)
BUILDER = {"x86_64": _AMD64, "aarch64": _ARM64}.get(os.uname().machine, _AMD64)
"""What builders run on."""


def read(text: str) -> Target:
    """Return the platform that the variable names; "": linux/amd64."""
    if not text:
        return _AMD64
    return Target(**{name: value for name, value in json.loads(text).items() if name in Target._fields})


TARGET = read(os.environ.get(VARIABLE, ""))
"""What the image is for."""
IS_FOREIGN = TARGET != BUILDER
