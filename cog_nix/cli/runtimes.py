"""Which runtime holds and runs images: ``--runtime``, ``COG_NIX_RUNTIME``, or whatever is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.plugins import AUTO
from cog_nix.plugins import find_runtime as find

if TYPE_CHECKING:
    from cog_nix.spec import Runtime

_chosen = [AUTO]

RuntimeName = Annotated[
    str,
    typer.Option(
        "--runtime",
        envvar="COG_NIX_RUNTIME",
        help="What holds and runs images: docker, podman, bundle (no daemon), or auto: the first there is.",
    ),
]


def use(name: str) -> None:
    """Remember what the command line chose."""
    _chosen[:] = [name or AUTO]


def find_runtime() -> Runtime:
    """Return the runtime that this command uses.

    Raises:
        PluginError: nobody knows its name.
    """
    from cog_nix.cli.build import plugins  # noqa: PLC0415 - that module uses this one

    return find(_chosen[0], plugins())
