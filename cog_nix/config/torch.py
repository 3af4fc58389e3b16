"""What PyTorch releases there are: what goes together, and which machines they run on.

The table ``torch.json`` holds facts about the wheels for Linux on x86-64, one release a line: torchvision,
torchaudio, the oldest and the newest Python, the CUDA of the build on PyPI, and the CUDA releases that
PyTorch's own indexes have builds for. Sources: PyTorch's "Previous PyTorch Versions" and its "Release
Compatibility Matrix" and "PyTorch CUDA Support Matrix" (RELEASE.md) up to 2.14; the metadata of the wheels on
PyPI (their ``nvidia-*`` requirements name the CUDA). ``drivers``: the CUDA Toolkit release notes, "CUDA
Toolkit and Minimum Required Driver Version for CUDA Minor Version Compatibility" (Linux).

A release that is newer than the table is unknown, and nothing is said about it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

_PTX = "+PTX"


class _Table(TypedDict):
    releases: dict[str, list[str]]
    architectures: dict[str, str]
    architectures_of: dict[str, str]
    drivers: dict[str, str]


@dataclass(frozen=True)
class Release:
    """A release of PyTorch."""

    version: str
    """Without a local version: ``2.0.1``."""
    torchvision: tuple[str, ...]
    """The releases that were made for it; usually one, none where that is not known."""
    torchaudio: tuple[str, ...]
    pythons: tuple[str, str]
    """The oldest and the newest Python with wheels: ``3.8``, ``3.11``."""
    default: str
    """The CUDA release of the build on PyPI."""
    cudas: tuple[str, ...]
    """The CUDA releases with an index of builds, in order; empty where that is not known."""

    def fits(self, python_version: str) -> bool:
        """Return whether there are wheels for a Python."""
        oldest, newest = map(numbers, self.pythons)
        return oldest <= numbers(python_version)[:2] <= newest

    def companions(self, name: str) -> tuple[str, ...]:
        """Return the releases of ``torchvision`` or ``torchaudio`` that go with it."""
        return self.torchvision if name == "torchvision" else self.torchaudio


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers a version begins with; its local version is ignored."""
    found = re.match(r"\d{1,18}(\.\d{1,18})*", version, re.ASCII)
    return tuple(map(int, found[0].split("."))) if found else ()


@cache
def releases() -> tuple[Release, ...]:
    """Return all known releases, oldest first."""
    return tuple(
        Release(
            version=version,
            torchvision=tuple(vision.split()),
            torchaudio=tuple(audio.split()),
            pythons=(oldest, newest),
            default=default,
            cudas=tuple(cudas.split()),
        )
        for version, (vision, audio, oldest, newest, default, cudas) in _table()["releases"].items()
    )


def release(version: str) -> Release | None:
    """Return a release by its version; ``2.2`` is 2.2.0, and a local version is ignored."""
    wanted = _padded(version)
    return next((one for one in releases() if numbers(one.version) == wanted), None)


def release_of(name: str, version: str) -> Release | None:
    """Return the release that a version of ``torch``, ``torchvision`` or ``torchaudio`` belongs to."""
    if name == "torch":
        return release(version)
    wanted = _padded(version)
    return next(
        (one for one in releases() if wanted in [numbers(each) for each in one.companions(name)]), None
    )


def supported_architectures(torch_version: str, cuda: str = "") -> tuple[str, ...]:
    """Return the GPU architectures that a build of PyTorch has kernels for.

    Args:
        torch_version: of the wheel; a local version (``2.0.1+cu118``) names the CUDA release.
        cuda: the CUDA release; "": what the local version names, or else that of the build on PyPI.

    Returns:
        Names such as ``sm_90``, in order, and ``compute_120`` where code for later ones is included (PTX);
        empty for a CPU build, and where nothing is known.
    """
    known = release(torch_version)
    local = torch_version.partition("+")[2]
    if known is None or local == "cpu":
        return ()
    cuda = cuda or cuda_of(local) or known.default
    table, cuda = _table(), minor(cuda)
    found = table["architectures_of"].get(f"{known.version} {cuda}") or table["architectures"].get(cuda, "")
    names = []
    for capability in found.split():
        number = capability.removesuffix(_PTX).replace(".", "")
        names += [f"sm_{number}", *([f"compute_{number}"] if capability.endswith(_PTX) else ())]
    return tuple(names)


def runs_on(architectures: tuple[str, ...], capability: str) -> bool:
    """Return whether there are kernels for a GPU.

    Machine code runs on GPUs of the same major version and the same or a later minor one; PTX is compiled for
    any later GPU (CUDA C++ Programming Guide, "Binary Compatibility", "PTX Compatibility").

    Args:
        architectures: what :func:`supported_architectures` returned.
        capability: compute capability of the GPU, ``8.9``.
    """
    major, minor = (*numbers(capability), 0)[:2]
    for name in architectures:
        kind, _, number = name.partition("_")
        built = int(number[:-1]), int(number[-1])
        if kind == "compute" and built <= (major, minor):
            return True
        if kind == "sm" and built[0] == major and built[1] <= minor:
            return True
    return False


def minimum_driver(cuda: str) -> str:
    """Return the oldest driver for Linux that runs a CUDA release; "" where nothing is known."""
    return _table()["drivers"].get(cuda.partition(".")[0], "")


def cuda_of(local: str) -> str:
    """Return the CUDA release of a local version or an index: 11.8 of ``cu118``; "" when it names none."""
    found = re.fullmatch(r"cu(\d+)(\d)", local)
    return f"{found[1]}.{found[2]}" if found else ""


def minor(version: str) -> str:
    """Return a version's first two numbers: 12.4 of ``12.4.127``."""
    return ".".join(version.split(".")[:2])


def _padded(version: str) -> tuple[int, ...]:
    known = numbers(version)
    return known + (0,) * (3 - len(known))


@cache
def _table() -> _Table:
    loaded: _Table = json.loads(Path(__file__).with_name("torch.json").read_text("utf-8"))
    return loaded
