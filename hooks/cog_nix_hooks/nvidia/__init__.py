"""NVIDIA: CUDA from Python packages, its compiler for builds, and what a GPU image says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cog_nix.config.model import Config, Project
    from cog_nix.plugins.spec import (
        Context,
        Finding,
        FoundRequirement,
        GpuLibraries,
        PythonLibraryRequest,
        ToolkitChoice,
        ToolkitRequest,
    )

# What resolving needs is imported when it is needed: a build with an up-to-date lock never does.


@hookimpl
def provide_toolkit(request: ToolkitRequest, context: Context) -> ToolkitChoice | None:
    """Offer the CUDA toolkit to builds of GPU models that compile for GPUs."""
    from .toolkit import choose

    settings = context.settings
    return choose(
        request,
        setting=settings.gpu.toolkit,
        suite=settings.system.suite or "",
        warn=context.reporter.warn,
    )


@hookimpl
def describe_gpu_libraries() -> GpuLibraries:
    """Tell how parts of CUDA are known."""
    from .parts import PARTS

    return PARTS


@hookimpl
def find_python_libraries(
    request: PythonLibraryRequest,
) -> Sequence[FoundRequirement] | None:
    """Name the packages that bring CUDA's libraries."""
    from .libraries import find

    return find(request)


@hookimpl
def diagnose(project: Project | None) -> Iterable[Finding]:
    """Look at the driver and its GPUs, and whether they fit the project's lock."""
    from .checks import examine

    return examine(project)


@hookimpl
def image_environment(config: Config) -> Mapping[str, str] | None:
    """Put the folders of a driver that is mounted as a whole in front, as CUDA's base images do."""
    from .environment import environment

    return environment() if config.build.gpu else None
