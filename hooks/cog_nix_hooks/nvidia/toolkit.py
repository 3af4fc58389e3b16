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
from cog_nix.plugins.spec import ToolkitChoice

from . import builds
from .commands import Need, need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cog_nix.plugins.spec import ToolkitRequest

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
_SHOWN = 80
"""Characters of a command that messages show."""


@dataclass(frozen=True)
class _Wanted:
    """Who needs the toolkit."""

    need: Need
    who: str
    """In words."""
    commands: bool
    """Whether commands see it."""


def choose(
    request: ToolkitRequest, *, setting: bool | str | None, suite: str = "", warn: Callable[[str], None]
) -> ToolkitChoice | None:
    """Choose the toolkit for a project's builds.

    Args:
        request: the project.
        setting: ``[gpu] toolkit`` of cog-nix.toml.
        suite: ``[debian] suite`` of cog-nix.toml; "": it is free.
        warn: is told when what may need the toolkit goes without.

    Returns:
        The toolkit, or None when nothing needs it. One that needs a compiler which the suite lacks comes with
        the suite that has it.

    Raises:
        LockError: the project needs a release that there is none of, or that does not go with its suite.
    """
    wanted = _wanted(request, setting)
    if wanted.need is Need.NONE:
        return None
    named = setting if isinstance(setting, str) else ""
    try:
        release = _release(named, built_with(request), request.config.build.cuda or "", wanted)
        host, elsewhere = _host_compiler(release, request.suite, suite, wanted)
    except LockError as error:
        if wanted.need is Need.SURE:
            raise
        warn(f"{error.message} It is built without one; if it does compile for GPUs: {error.hint}")
        return None
    return ToolkitChoice(
        name=f"CUDA {release.version}",
        requirements=release.requirements,
        packages=(_packages(release),),
        build_packages=(f"g++-{host}",) if host else (),
        host_compiler=host,
        environment=tuple(environment(release)),
        variables=VARIABLES,
        commands=wanted.commands,
        suite=elsewhere,
        because=_because(release, request.suite, elsewhere, wanted) if elsewhere else "",
    )


def _wanted(request: ToolkitRequest, setting: bool | str | None) -> _Wanted:  # noqa: FBT001 - as it is written
    build = request.config.build
    if not build.gpu or setting is False:
        return _Wanted(Need.NONE, "", commands=False)
    commands = [(need(text), text) for text in config_commands.texts(build)]
    most, text = max(commands, key=lambda pair: pair[0], default=(Need.NONE, ""))
    seen = bool(setting) or most is not Need.NONE
    if setting:
        return _Wanted(Need.SURE, "[gpu] toolkit in cog-nix.toml", commands=True)
    for wheel in request.wheels:
        if wheel.source and wheel.source.device_code:
            who = f"{wheel.name} {wheel.version}, which is built from source,"
            return _Wanted(Need.SURE, who, commands=seen)
    shown = f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text
    return _Wanted(most, f"the command {shown!r}", commands=seen)


def _because(release: Release, suite: str, other: str, wanted: _Wanted) -> str:
    return (
        f"The image is made on Debian {other}: {wanted.who} compiles for GPUs, CUDA {release.version} takes"
        f" GCC up to {release.newest_gcc}, and {suite} has none so old"
    )


def built_with(request: ToolkitRequest) -> str:
    """Return the CUDA release that the project's Python packages are built with; "" when none tells."""
    return builds.built_with({wheel.name: wheel.version for wheel in request.wheels})


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


def _release(named: str, built: str, asked: str, wanted_by: _Wanted) -> Release:
    """Choose the release: the one that is named, or else the nearest of the same major version.

    Args:
        named: in cog-nix.toml.
        built: what the packages are built with, which extensions have to fit (torch.utils.cpp_extension
            refuses another major version).
        asked: ``build.cuda``, when no package tells.
        wanted_by: for the error.
    """
    wanted = named or built or facts.minor(asked)
    fitting = [release for release in RELEASES if _major(release.version) == _major(wanted)]
    if not fitting or (named and named not in {release.version for release in fitting}):
        known = ", ".join(release.version for release in RELEASES)
        raise LockError(
            f"{_capital(wanted_by.who)} {_verb(wanted_by)} the compiler of CUDA {wanted}, which cog-nix does"
            f" not have; there are {known}.",
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


def _host_compiler(release: Release, suite: str, named: str, wanted: _Wanted) -> tuple[str, str]:
    """Return the GCC that a build needs for its host code, and the suite that has it.

    Args:
        release: of the toolkit.
        suite: of the image.
        named: ``[debian] suite``.
        wanted: who needs it. What only may need it does not decide about the suite.

    Returns:
        A major version, "" for the suite's own; and another suite, "" for the image's.

    Raises:
        LockError: the suite has none that is old enough, and is not to be left.
    """
    if _DEFAULT_GCC.get(suite, release.newest_gcc + 1) <= release.newest_gcc:
        return "", ""
    if _OLDEST_GCC.get(suite, release.newest_gcc) <= release.newest_gcc:
        return str(release.newest_gcc), ""
    other = next((one for one, gcc in _OLDEST_GCC.items() if gcc <= release.newest_gcc), "")
    if wanted.need is not Need.SURE or named or not other:
        raise LockError(
            f"{_capital(wanted.who)} {_verb(wanted)} a compiler for GPUs: CUDA {release.version} takes GCC up"
            f" to {release.newest_gcc}, and Debian {suite} has none so old.",
            hint='[debian] suite = "bookworm" in cog-nix.toml has one; [gpu] toolkit = false needs none.',
        )
    return _host_compiler(release, other, other, wanted)[0], other


def _verb(wanted: _Wanted) -> str:
    return "needs" if wanted.need is Need.SURE else "may need"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _major(version: str) -> str:
    return version.partition(".")[0]
