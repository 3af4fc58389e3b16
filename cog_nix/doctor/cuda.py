"""Which CUDA a driver runs, which GPUs a build of torch has kernels for, and what a project is locked to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cog_nix.lock.model import Lock

Version = tuple[int, ...]

LOWEST_DRIVERS: dict[int, str] = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}
"""The oldest driver that runs programs of a CUDA major version, whichever its minor version (NVIDIA, "CUDA
Compatibility", minor version compatibility)."""

_FLOORS = (((10, 0), (2, 7), (12, 8)), ((9, 0), (2, 0), (11, 8)))
"""Compute capability, and the first torch and CUDA whose build has kernels for it; highest first. Wheels list
them (``torch._C._cuda_getArchFlags()``); upstream's doctor knows the same two."""
_OLDEST_GPU = (7, 5)
_DROPPED_OLDER = (12, 8)
"""Builds for this CUDA and newer have no kernels for GPUs before Turing: torch 2.7's begin with sm_75."""
_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu[0-9]+)?")
_LOCAL = re.compile(r"cu([0-9]+)([0-9])")


@dataclass(frozen=True)
class Locked:
    """What a lock says of CUDA."""

    cuda: Version | None
    """Major and minor version; None: unknown."""
    torch: str
    """Version, without its local part; "": there is none."""


def locked(lock: Lock) -> Locked:
    """Return what a lock holds: the CUDA runtime among its wheels, or torch's own mark (``+cu118``)."""
    versions = {wheel.name: wheel.version for wheel in lock.wheels}
    torch, _, local = versions.get("torch", "").partition("+")
    runtime = next((version for name, version in versions.items() if _RUNTIME.fullmatch(name)), "")
    if runtime:
        return Locked(numbers(runtime)[:2], torch)
    mark = _LOCAL.fullmatch(local)
    return Locked((int(mark[1]), int(mark[2])) if mark else None, torch)


def numbers(text: str) -> Version:
    """Return the numbers of a version, ``525.60.13`` as ``(525, 60, 13)``."""
    return tuple(map(int, re.findall(r"[0-9]+", text)))


def shown(version: Version) -> str:
    """Return a version as text."""
    return ".".join(map(str, version))


def driver_problem(driver: str, highest: Version | None, cuda: Version) -> str:
    """Return why a driver does not run a CUDA version, in a sentence; "": it does, or nothing is known.

    Args:
        driver: its version; "": unknown.
        highest: the newest CUDA that it knows itself; None: unknown.
        cuda: major and minor version that is asked for.
    """
    if highest and highest >= cuda:
        return ""
    lowest = LOWEST_DRIVERS.get(cuda[0])
    if lowest and driver:
        if numbers(driver) >= numbers(lowest):
            return ""  # minor version compatibility, or the driver is newer than our table
        return f"CUDA {shown(cuda)} needs a driver of version {lowest} or newer, and this one is {driver}"
    if highest and highest[0] < cuda[0]:
        return f"The driver runs CUDA up to {shown(highest)}, and the project is locked to {shown(cuda)}"
    return ""


def kernel_problems(capabilities: Iterable[Version], found: Locked) -> Iterator[tuple[str, str]]:
    """Yield what is wrong for each kind of GPU, and what would mend it.

    Args:
        capabilities: compute capabilities, ``(9, 0)``.
        found: what the project is locked to; without torch there is nothing to compare.
    """
    if not found.torch:
        return
    for capability in sorted(set(capabilities)):
        name = f"sm_{''.join(map(str, capability))}"
        built = f"torch {found.torch}" + (f" for CUDA {shown(found.cuda)}" if found.cuda else "")
        said = f"{built} has no kernels for {name}, the GPU here: its first operation there will fail."
        floor = next((one for one in _FLOORS if capability >= one[0]), None)
        if floor and (numbers(found.torch)[:2] < floor[1] or (found.cuda and found.cuda < floor[2])):
            yield said, f"Ask for torch>={shown(floor[1])}, built for CUDA {shown(floor[2])} or newer."
        elif capability < _OLDEST_GPU and found.cuda and found.cuda >= _DROPPED_OLDER:
            yield said, "Ask for a torch that is built for CUDA 12.6."
