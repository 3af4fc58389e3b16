"""NVIDIA: what GPU models need beyond Python packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.spec import hookimpl

if TYPE_CHECKING:
    from cog_nix.spec import Context, ToolkitChoice, ToolkitRequest


@hookimpl
def provide_toolkit(request: ToolkitRequest, context: Context) -> ToolkitChoice | None:
    """Offer the CUDA toolkit to builds of GPU models that compile for GPUs."""
    from .toolkit import choose  # noqa: PLC0415 - only locking needs it

    return choose(request, setting=context.settings.gpu.toolkit)
