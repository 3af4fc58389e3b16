"""The CUDA toolkit for builds: which release, and what it is made of.

Releases from 13 on are complete as NVIDIA's own distributions on PyPI. Before, those lack the compiler's
front end (``nvcc``, ``cicc``, ``cudafe++``), which Debian has in its ``non-free`` component: 12.4 in trixie,
11.8 in bookworm. It is taken from there whatever suite the image has, since its programs need nothing newer
than glibc 2.34, and the headers of the same release from PyPI. See docs/design/cuda-builds.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.config import commands as config_commands
from cog_nix.config import torch as facts
from cog_nix.errors import LockError
from cog_nix.spec import ToolkitChoice

from .commands import compiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cog_nix.spec import ToolkitRequest

HOME = "/usr/local/cuda"
"""Where builds see it; the same in ``nix/layers/toolkit.nix``."""

VARIABLES = (
    "CMAKE_ARGS",
    "CUDAARCHS",
    "FLASH_ATTENTION_FORCE_BUILD",
    "FLASH_ATTN_CUDA_ARCHS",
    "FORCE_CUDA",
    "MAX_JOBS",
    "NVCC_APPEND_FLAGS",
    "NVCC_PREPEND_FLAGS",
    "NVCC_THREADS",
    "TCNN_CUDA_ARCHITECTURES",
    "TORCH_CUDA_ARCH_LIST",
)
"""Variables of cog.yaml that decide how code for GPUs is compiled, so that source builds have to see them."""


@dataclass(frozen=True)
class Release:
    """One release of the toolkit."""

    version: str
    """Major and minor."""
    suite: str
    """Of Debian, whose ``non-free`` has the compiler; "": NVIDIA's distributions are complete."""
    requirements: tuple[tuple[str, ...], ...]
    newest_gcc: int
    """Newest major version of GCC that its ``crt/host_config.h`` lets pass."""
    architectures: tuple[str, ...]
    """What is compiled for when nobody says: compute capabilities that it knows and that are in use."""


# The first releases of the static runtime library on PyPI are newer than the compilers that Debian has. The
# builder takes that library alone from them: it keeps its interface within a major version.
_STATIC_12 = ("nvidia-cuda-runtime-cu12==12.9.79",)

RELEASES = (
    Release(
        "11.8",
        "bookworm",
        (
            (
                "nvidia-cuda-runtime-cu11==11.8.89",
                "nvidia-cuda-nvcc-cu11==11.8.89",
                "nvidia-cuda-cccl-cu11==11.8.89.post1",
            ),
        ),
        11,
        ("7.0", "7.5", "8.0", "8.6", "9.0"),
    ),
    Release(
        "12.4",
        "trixie",
        (
            (
                "nvidia-cuda-runtime-cu12==12.4.127",
                "nvidia-cuda-nvcc-cu12==12.4.131",
                "nvidia-cuda-cccl-cu12==12.4.127.post1",
            ),
            _STATIC_12,
        ),
        13,
        ("7.5", "8.0", "8.6", "8.9", "9.0"),
    ),
    *(
        Release(
            f"13.{minor}",
            "",
            (
                tuple(
                    f"nvidia-{name}==13.{minor}.*"
                    for name in ("cuda-nvcc", "nvvm", "cuda-crt", "cuda-runtime", "cuda-cccl")
                ),
            ),
            15,
            ("7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0"),
        )
        for minor in range(4)
    ),
)
"""In ascending order."""

_NEWEST_SUITE = "trixie"
"""Of Debian: its driver library is linked to where PyPI has the whole compiler."""
_DRIVER = "libcuda1"

_DEFAULT_GCC = {"bookworm": 12, "trixie": 14}
"""What ``build-essential`` brings, by suite."""
_OLDEST_GCC = {"bookworm": 11, "trixie": 12}


def choose(request: ToolkitRequest, *, setting: bool | str | None) -> ToolkitChoice | None:
    """Choose the toolkit for a project's builds.

    Args:
        request: the project.
        setting: ``[gpu] toolkit`` of cog-nix.toml.

    Returns:
        The toolkit, or None when nothing needs it.

    Raises:
        LockError: the project needs a release that there is none of.
    """
    build = request.config.build
    if not build.gpu or setting is False:
        return None
    sources = [wheel.name for wheel in request.wheels if wheel.source and wheel.source.device_code]
    commands = bool(setting) or any(map(compiles, config_commands.texts(build)))
    if not sources and not commands and setting is None:
        return None
    release = _release(
        setting if isinstance(setting, str) else "", built_with(request), asked=build.cuda or ""
    )
    host = _host_compiler(release, request.suite)
    return ToolkitChoice(
        name=f"CUDA {release.version}",
        requirements=release.requirements,
        packages=(_packages(release),),
        build_packages=(f"g++-{host}",) if host else (),
        host_compiler=host,
        environment=tuple(environment(release)),
        variables=VARIABLES,
        commands=commands,
    )


def built_with(request: ToolkitRequest) -> str:
    """Return the CUDA release that the project's Python packages are built with; "" when none tells."""
    return facts.built_with({wheel.name: wheel.version for wheel in request.wheels})


def environment(release: Release) -> Iterable[tuple[str, str]]:
    """Yield the variables of builds.

    No GPU can be asked what to compile for, so that is said: code for each architecture, and for later ones
    what drivers compile further (PTX).
    """
    numbers = [architecture.replace(".", "") for architecture in release.architectures]
    yield "CUDA_HOME", HOME
    yield "CUDA_PATH", HOME
    yield "FORCE_CUDA", "1"
    yield "TORCH_CUDA_ARCH_LIST", f"{';'.join(release.architectures)}+PTX"
    # CMake's CUDA_ARCHITECTURES: a bare number at the end is both.
    yield "CUDAARCHS", ";".join([*(f"{number}-real" for number in numbers[:-1]), numbers[-1]])


def _release(named: str, built: str, asked: str) -> Release:
    """Choose the release: the one that is named, or else the nearest of the same major version.

    Args:
        named: in cog-nix.toml.
        built: what the packages are built with, which extensions have to fit (torch.utils.cpp_extension
            refuses another major version).
        asked: ``build.cuda``, when no package tells.
    """
    wanted = named or built or facts.minor(asked)
    fitting = [release for release in RELEASES if _major(release.version) == _major(wanted)]
    if not fitting or (named and named not in {release.version for release in fitting}):
        known = ", ".join(release.version for release in RELEASES)
        raise LockError(
            f"A build needs the compiler of CUDA {wanted}, which cog-nix does not have; there are {known}.",
            hint="Set [gpu] toolkit in cog-nix.toml to one of them, or to false to build without a compiler.",
        )
    older = [release for release in fitting if facts.numbers(release.version) <= facts.numbers(wanted)]
    return (older or fitting[:1])[-1]


def _packages(release: Release) -> tuple[str, str, tuple[str, ...]]:
    """Return suite, component and names of what Debian has.

    That is the compiler where PyPI lacks it, and the driver's library: extensions that call the driver link
    to it, and a machine without a GPU has none.
    """
    compiler = ("nvidia-cuda-toolkit",) if release.suite else ()
    return release.suite or _NEWEST_SUITE, "non-free", (_DRIVER, *compiler)


def _host_compiler(release: Release, suite: str) -> str:
    """Return the major version of GCC that a build needs for its host code; "": the suite's own does.

    Raises:
        LockError: the suite has none that is old enough.
    """
    if _DEFAULT_GCC.get(suite, release.newest_gcc + 1) <= release.newest_gcc:
        return ""
    if _OLDEST_GCC.get(suite, release.newest_gcc) > release.newest_gcc:
        raise LockError(
            f"CUDA {release.version} takes GCC up to {release.newest_gcc}; Debian {suite} has none so old.",
            hint='Build on an older suite: [debian] suite = "bookworm" in cog-nix.toml.',
        )
    return str(release.newest_gcc)


def _major(version: str) -> str:
    return version.partition(".")[0]
