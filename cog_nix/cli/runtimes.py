"""Which runtime holds and runs images: ``--runtime``, ``COG_NIX_RUNTIME``, or whatever is there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.terminal import reporter
from cog_nix.plugins.manager import AUTO
from cog_nix.plugins.manager import find_runtime as find

if TYPE_CHECKING:
    from cog_nix.plugins.spec import Runtime

_chosen = [AUTO]
_UPSTREAMS = "docker"

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
    """Return the runtime that this command would use, usable or not.

    Raises:
        PluginError: nobody knows its name.
    """
    from cog_nix.cli.build import plugins  # noqa: PLC0415 - that module uses this one

    return find(_chosen[0], plugins(), reporter)


def import_first_choice() -> None:
    """Import the runtime that is looked for first; ask it nothing."""
    from cog_nix.cli.build import plugins  # noqa: PLC0415 - that module uses this one
    from cog_nix.errors import CogNixError  # noqa: PLC0415

    with suppress(CogNixError):  # told by whoever needs it
        plugins().provide_runtime(_first(), reporter)


def _first() -> str:
    from cog_nix.cli.build import plugins  # noqa: PLC0415 - that module uses this one

    if _chosen[0] != AUTO:
        return _chosen[0]
    return next(iter(plugins().runtime_names()), "")


def is_first_choice(runtime: Runtime) -> bool:
    """Tell whether a runtime was asked for by its name, or is the one that is looked for first."""
    return _chosen[0] != AUTO or runtime.name == _first()


def usable_runtime() -> Runtime:
    """Return the runtime that this command uses.

    Raises:
        PluginError: nobody knows its name.
        RuntimeFailure: it cannot be used, and why.
    """
    from cog_nix.plugins.unusable import NoRuntime  # noqa: PLC0415 - as above
    from cog_nix.runtime.session import require  # noqa: PLC0415 - a faster `--help`

    runtime = find_runtime()
    if _chosen[0] != AUTO or isinstance(runtime, NoRuntime):  # who was found has been asked
        require(runtime)
    return runtime


def building_for(runtime: Runtime) -> str:
    """Return the line that says that a project is built; upstream's, where its users see what they know."""
    image = "Docker image" if runtime.name == _UPSTREAMS else "image"
    return f"Building {image} from environment in cog.yaml...\n"


def running_in(runtime: Runtime, line: str) -> str:
    """Return the line that says that a command is run in the project's environment."""
    return f"\nRunning {line} in {runtime.title} with the current directory mounted as a volume..."


def starting_in(runtime: Runtime) -> str:
    """Return the line that says that a model is started, as :func:`building_for`."""
    where = "Docker image" if runtime.name == _UPSTREAMS else f"image in {runtime.title}"
    return f"\nStarting {where} and running setup()..."
