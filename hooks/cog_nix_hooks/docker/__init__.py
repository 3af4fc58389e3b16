"""Docker as a place that holds images and runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.spec import hookimpl

if TYPE_CHECKING:
    from cog_nix.spec import Runtime

NAME = "docker"


@hookimpl
def runtime_names() -> tuple[str, ...]:
    """Name the one runtime that is here."""
    return (NAME,)


@hookimpl
def provide_runtime(name: str) -> Runtime | None:
    """Offer Docker under its name."""
    if name != NAME:
        return None
    from cog_nix_hooks.docker.runtime import DockerRuntime  # noqa: PLC0415 - most commands need no Docker

    return DockerRuntime()
