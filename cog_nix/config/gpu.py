"""Which CUDA and cuDNN a GPU model gets when cog.yaml does not say: what its framework was built for.

The table ``gpu.json`` holds facts: the cuDNN that goes with each CUDA release, the CUDA releases that PyTorch
has wheels for, and the pair that each TensorFlow release was built with. Sources: the tags of NVIDIA's CUDA
images, PyTorch's page "Previous PyTorch Versions", TensorFlow's page "Tested build configurations". It holds
what Cog 0.23.1 knows of them and no more, since the label ``run.cog.config`` tells the outcome; so does the
order of decisions follow upstream's.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_CUDA = "11.8"
MINIMUM_CUDA_MAJOR = 11
_OLDEST_PYTHON = (3, 10)
"""That the table has releases for. What older ones take on request (:mod:`cog_nix.config.legacy`) is not
Cog's to know: their wheels bring their CUDA, and the index tells whether there are any."""


class _Table(TypedDict):
    cuda: dict[str, list[str]]
    torch: dict[str, list[str]]
    older_torch: dict[str, list[str]]
    """Releases before those that Cog knows, of CUDA 11."""
    tensorflow: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Versions:
    """The completed pair."""

    cuda: str
    cudnn: str
    warning: str = ""


class GpuError(ValueError):
    """The versions do not go together.

    Args:
        subject: what is to be changed: ``cuda``, ``cudnn``, ``torch`` or ``tensorflow``.
        text: what is wrong.
        fix: what to write instead.
    """

    def __init__(self, subject: str, text: str, fix: str = "") -> None:
        super().__init__(text)
        self.subject = subject
        self.text = text
        self.fix = fix


class UnknownReleaseError(GpuError):
    """Nothing is known about the CUDA of a framework's release.

    Args:
        package: the framework.
        version: the release.
    """

    def __init__(self, package: Literal["torch", "tensorflow"], version: str) -> None:
        text = f"cog doesn't know what CUDA version is compatible with {package}=={version}"
        super().__init__(package, text, name_another(package, version, known_releases(package)))
        self.package: Literal["torch", "tensorflow"] = package
        self.version = version


def derive(
    cuda: str | None, cudnn: str | None, requirements: Sequence[str], python_version: str = ""
) -> Versions:
    """Complete the CUDA and cuDNN versions of a GPU model.

    Args:
        cuda: as in cog.yaml, if it says.
        cudnn: likewise.
        requirements: requirement lines, for the pins of torch and tensorflow.
        python_version: for one that Cog has given up, releases of frameworks may be any.

    Raises:
        GpuError: a combination that is known not to work, or nothing is known about it.
    """
    if cuda and cudnn and cudnn not in _cudnns(cuda):
        raise GpuError(
            "cudnn",
            f"CUDA {cuda} is incompatible with CuDNN {cudnn}",
            _list_of("Compatible CuDNN versions", _cudnns(cuda)),
        )
    torch = pinned_version("torch", requirements)
    if torch == "":
        raise GpuError(
            "torch",
            "torch version must be specified when using CUDA",
            "Pin it: torch==" + list(_table()["torch"])[-1],
        )
    tensorflow = pinned_version("tensorflow", requirements)
    if () < _numbers(python_version)[:2] < _OLDEST_PYTHON:
        cuda = cuda or _of_that_time(torch, tensorflow)
    if tensorflow:
        return _for_tensorflow(cuda, cudnn, tensorflow)
    if torch:
        return _for_torch(cuda, cudnn, torch)
    chosen = cuda or DEFAULT_CUDA
    return Versions(chosen, cudnn or _latest_cudnn(chosen))


def pinned_version(name: str, requirements: Sequence[str]) -> str | None:
    """Return the version a package is required in, ``""`` when any will do, None when it is not required."""
    for line in requirements:
        match = re.match(r"[\w.-]+(\[[^\]]+\])?", line, re.ASCII)
        if match and match[0] == name:
            version = re.search(r"[<>=!~]=?\s*([^\s,;|]+)|@\s*(\S+)", line)
            return (version[1] or version[2]) if version else ""
    return None


def _for_tensorflow(cuda: str | None, cudnn: str | None, version: str) -> Versions:
    """TensorFlow's wheels need exactly the CUDA and cuDNN they were built with."""
    built_cuda, built_cudnn = _table()["tensorflow"].get(version, ("", ""))
    if not cuda and not built_cuda:
        raise UnknownReleaseError("tensorflow", version)
    if cuda and built_cuda and not cuda.startswith(built_cuda.partition(".")[0]):
        text = f"TensorFlow {version} is incompatible with CUDA {cuda}: it requires CUDA {built_cuda}"
        raise GpuError("cuda", text, f'Write: cuda: "{built_cuda}", or leave it out.')
    if cudnn and built_cudnn != cudnn:
        text = f"the specified cuDNN version {cudnn} is not compatible with tensorflow=={version}"
        raise GpuError("cudnn", text, f"Compatible cuDNN version is: {built_cudnn or 'not known'}")
    chosen = cuda or built_cuda
    return Versions(chosen, built_cudnn or _latest_cudnn(chosen))


def _for_torch(cuda: str | None, cudnn: str | None, version: str) -> Versions:
    """PyTorch's wheels bring their own CUDA, so another one is a warning only."""
    built = _cudas_of_torch(version)
    if not cuda and not built:
        raise UnknownReleaseError("torch", version)
    chosen = cuda or max(built, key=_numbers)
    warning = ""
    if cuda and not any(_numbers(other)[:2] == _numbers(cuda)[:2] for other in built):
        warning = f"Cog doesn't know if CUDA {cuda} is compatible with PyTorch {version}."
        warning += " This might cause CUDA problems."
        warning += f" Try {built[-1]} instead?" if built else ""
    return Versions(chosen, cudnn or _latest_cudnn(chosen), warning)


def _of_that_time(torch: str | None, tensorflow: str | None) -> str | None:
    """Return a CUDA version where Cog knows none: the wheels' own, or one like any other."""
    if tensorflow:
        return None if tensorflow in _table()["tensorflow"] else DEFAULT_CUDA
    if torch and not _cudas_of_torch(torch):
        return max(_cudas_of_torch(torch, _table()["older_torch"]), key=_numbers, default=DEFAULT_CUDA)
    return None


def _cudas_of_torch(version: str, table: Mapping[str, list[str]] | None = None) -> list[str]:
    """Return the CUDA releases a torch release has wheels for; ``2.1.0+cu118`` names one of them."""
    releases = _table()["torch"] if table is None else table
    base, _, local = version.rpartition("+") if "+cu" in version else (version, "", "")
    known = sorted({c for torch, cudas in releases.items() if _matches(base, torch) for c in cudas})
    digits = local.removeprefix("cu")
    named = f"{digits[:-1]}.{digits[-1:]}"
    return [named] if named in known else known


def _cudnns(cuda: str) -> list[str]:
    return sorted(
        {n for release, cudnns in _table()["cuda"].items() if _matches(cuda, release) for n in cudnns}
    )


def _latest_cudnn(cuda: str) -> str:
    known = _cudnns(cuda)
    if known:
        return known[-1]
    near = [release for release in _table()["cuda"] if _numbers(release)[:2] == _numbers(cuda)[:2]]
    others = near or sorted({".".join(release.split(".")[:2]) for release in _table()["cuda"]}, key=_numbers)
    raise GpuError("cuda", f"CUDA {cuda} is not supported by Cog", _list_of("Supported are", others))


def known_releases(package: Literal["torch", "tensorflow"]) -> list[str]:
    """Return the releases of a framework whose CUDA is known, oldest first."""
    return sorted(_table()[package], key=_numbers)


def name_another(package: str, version: str, known: Sequence[str]) -> str:
    """Return what to write where nothing is known about a release of a framework.

    Args:
        package: ``torch`` or ``tensorflow``.
        version: the release.
        known: releases that would do, oldest first; at least one.
    """
    wanted = _numbers(version)
    near = [one for one in known if _numbers(one)[:2] == wanted[:2]] or [known[0], known[-1]]
    names = " or ".join(f"{package}=={one}" for one in dict.fromkeys((near[0], near[-1])))
    cuda = _likely(package, wanted)
    return f'Add below build: cuda: "{cuda}". Or take a release whose CUDA is known: {names}.'


def _likely(package: str, wanted: tuple[int, ...]) -> str:
    """Return a CUDA version for a release that nothing is known about: that of the one before it."""
    if package != "torch":
        return DEFAULT_CUDA
    before = [one for one in known_releases("torch") if _numbers(one) <= wanted]
    return max(_table()["torch"][before[-1]], key=_numbers) if before else DEFAULT_CUDA


def _list_of(what: str, versions: Sequence[str]) -> str:
    return f"{what}: {', '.join(versions)}" if versions else ""


def _matches(version: str, other: str) -> bool:
    """Return whether versions agree as far as both go: 11.8 and 11.8.0 do, 11.8.2 and 11.8.0 do not."""
    left, right = _numbers(version), _numbers(other)
    if not left or not right:
        return False
    return left[:2] == right[:2] and (len(left) < 3 or len(right) < 3 or left[2] == right[2])  # noqa: PLR2004


def _numbers(version: str) -> tuple[int, ...]:
    """Return up to three numbers, at least two; empty when it is no plain version."""
    parts = version.partition("+")[0].split(".")
    if len(parts) > 3 or not all(re.fullmatch("[0-9]{1,18}", part) for part in parts):  # noqa: PLR2004
        return ()
    numbers = tuple(map(int, parts))
    return numbers if len(numbers) > 1 else (*numbers, 0)


@cache
def _table() -> _Table:
    loaded: _Table = json.loads(Path(__file__).with_name("gpu.json").read_text("utf-8"))
    return loaded
