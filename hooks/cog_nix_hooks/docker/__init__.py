"""Docker and Podman as places that hold images and run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cog_nix.plugins.spec import Finding, Runtime


@hookimpl
def runtime_names() -> tuple[str, ...]:
    """Name them, Docker first."""
    return ("docker", "podman")


@hookimpl
def provide_runtime(name: str) -> Runtime | None:
    """Offer each under its name. Most commands need neither, and so nothing is imported before."""
    if name == "docker":
        from cog_nix_hooks.docker.runtime import DockerRuntime

        return DockerRuntime()
    if name == "podman":
        from cog_nix_hooks.docker.podman import PodmanRuntime

        return PodmanRuntime()
    return None


@hookimpl
def diagnose() -> Iterable[Finding]:
    """Tell whether Docker can hold and run images here."""
    from cog_nix_hooks.docker import checks  # only the doctor asks

    return list(checks.diagnose())
