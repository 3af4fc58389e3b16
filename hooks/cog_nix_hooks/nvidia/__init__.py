"""NVIDIA: CUDA's libraries from Python packages, and what an image that runs on a GPU says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.config.model import Config
    from cog_nix.spec import Context, FoundRequirement, PythonLibraryRequest

# What resolving needs is imported when it is needed: a build with an up-to-date lock never does.


@hookimpl
def find_python_libraries(
    request: PythonLibraryRequest, context: Context
) -> Sequence[FoundRequirement] | None:
    """Name the packages that bring CUDA's libraries."""
    from .libraries import find  # noqa: PLC0415

    return find(request, context)


@hookimpl
def image_environment(config: Config) -> Mapping[str, str] | None:
    """Put the folders of a driver that is mounted as a whole in front, as CUDA's base images do."""
    from .environment import environment  # noqa: PLC0415

    return environment() if config.build.gpu else None
