"""Which CUDA a driver runs, which GPUs a build of torch has kernels for, and what a project is locked to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.config import torch as facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cog_nix.lock.model import Lock

Version = tuple[int, ...]
_RUNTIME = re.compile(r"nvidia-cuda-runtime(-cu\d+)?")


@dataclass(frozen=True)
class Locked:
    """What a lock says of CUDA."""

    cuda: Version | None
    """Major and minor version; None: unknown."""
    torch: str
    """Version, without its local part; "": there is none, or none for GPUs."""


def locked(lock: Lock) -> Locked:
    """Return what a lock holds: the CUDA runtime among its wheels, or torch's own mark (``+cu118``)."""
    versions = {wheel.name: wheel.version for wheel in lock.wheels}
    torch, _, local = versions.get("torch", "").partition("+")
    cuda = built_with(versions)
    for_cpu = local == "cpu" and not runtime_release(versions)
    return Locked(facts.numbers(cuda) or None, "" if for_cpu else torch)


def runtime_release(versions: Mapping[str, str]) -> str:
    """Return the CUDA release of the runtime library that packages bring (``12.4``); "": none is there.

    Args:
        versions: of Python packages, by name.
    """
    return next((facts.minor(versions[name]) for name in sorted(versions) if _RUNTIME.fullmatch(name)), "")


def built_with(versions: Mapping[str, str]) -> str:
    """Return the CUDA release that packages are built with; "" when none tells.

    It is the release of the runtime library that they require, or the end of torch's version (``+cu118``).

    Args:
        versions: of Python packages, by name.
    """
    return runtime_release(versions) or facts.cuda_of(versions.get("torch", "").partition("+")[2])


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
    lowest = facts.minimum_driver(shown(cuda))
    if lowest and driver:
        if facts.numbers(driver) >= facts.numbers(lowest):
            return ""  # minor version compatibility, or the driver is newer than our table
        return f"CUDA {shown(cuda)} needs a driver of version {lowest} or newer, and this one is {driver}"
    if highest and highest[0] < cuda[0]:
        return f"The driver runs CUDA up to {shown(highest)}, and the project is locked to {shown(cuda)}"
    return ""


def kernel_problems(capabilities: Iterable[Version], found: Locked) -> Iterator[tuple[str, str]]:
    """Yield what is wrong for each kind of GPU, and what would fix it.

    Args:
        capabilities: compute capabilities, ``(9, 0)``.
        found: what the project is locked to; without torch there is nothing to compare.
    """
    cuda = shown(found.cuda) if found.cuda else ""
    architectures = facts.supported_architectures(found.torch, cuda) if found.torch else ()
    for capability in sorted(set(capabilities)) if architectures else ():
        if not facts.runs_on(architectures, shown(capability)):
            built = f"torch {found.torch}" + (f" for CUDA {cuda}" if cuda else "")
            name = f"sm_{''.join(map(str, capability))}"
            yield (
                f"{built} has no kernels for {name}, the GPU here: its first operation there will fail.",
                _other_build(found.torch, shown(capability)),
            )


def _other_build(torch: str, capability: str) -> str:
    """Return which builds have kernels for a GPU: those of the same release, or else other releases."""
    fitting = {
        one.version: cudas
        for one in facts.releases()
        if (cudas := [cuda for cuda in one.cudas if _serves(one.version, cuda, capability)])
    }
    if torch in fitting:
        return f'Write cuda: "{fitting[torch][-1]}" into cog.yaml: torch {torch} built for it has them.'
    if not fitting:
        return "No torch that is known has them."
    ends = [next(iter(fitting.items())), list(fitting.items())[-1]]
    first, last = (f"{version} for CUDA {cudas[-1]}" for version, cudas in ends)
    return f"Those from torch {first} to torch {last} have them."


def _serves(version: str, cuda: str, capability: str) -> bool:
    return facts.runs_on(facts.supported_architectures(version, cuda), capability)
