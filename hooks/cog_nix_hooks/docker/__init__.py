"""Docker as a place that holds images and runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cog_nix.spec import Finding, Runtime

NAMES = ("docker", "auto")


@hookimpl
def provide_runtime(name: str) -> Runtime | None:
    """Offer Docker under its name, and as what is taken when nobody says otherwise."""
    if name not in NAMES:
        return None
    from cog_nix_hooks.docker.runtime import DockerRuntime  # noqa: PLC0415 - most commands need no Docker

    return DockerRuntime()


@hookimpl
def diagnose() -> Iterable[Finding]:
    """Tell whether Docker can hold and run images here."""
    from cog_nix_hooks.docker import checks  # noqa: PLC0415 - only the doctor asks

    return list(checks.diagnose())
