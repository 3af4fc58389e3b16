"""``cog-nix container-image``: an image of cog-nix itself, for machines that only run containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.build import OutputTo, plugins
from cog_nix.cli.runtimes import usable_runtime
from cog_nix.cli.terminal import reporter

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.build.story import Services

_HELP = """Make an image of cog-nix itself, with its Nix, and load it into Docker, or into another --runtime.

\b
  cog-nix container-image                    named cog-nix
  cog-nix container-image -o cog-nix.tar     for another machine: docker load -i cog-nix.tar

Nothing is run to make it, so this works in any container.
"""
_NAME = "cog-nix:latest"

ImageName = Annotated[str, typer.Option("--tag", "-t", help="A name for the image, name:tag.")]


def register(app: typer.Typer) -> None:
    """Add ``container-image`` to the command line."""
    app.command("container-image", help=_HELP)(container_image)


def container_image(
    *,
    tag: ImageName = _NAME,
    output: OutputTo = None,
) -> None:
    """Make an image of cog-nix itself.

    Raises:
        ImageError: it cannot be made.
        RuntimeFailure: there is nothing to load it into.
    """
    from cog_nix.build.story import Services  # noqa: PLC0415
    from cog_nix.container import image  # noqa: PLC0415
    from cog_nix.image.archives import Output, write  # noqa: PLC0415 - a faster --help
    from cog_nix.image.description import with_tag  # noqa: PLC0415

    target = Output.parse(output) if output else None
    runtime = None if target else usable_runtime()
    layout = _made(Services(plugins(), reporter))
    name = with_tag(tag)
    with image.program(layout) as program:
        if target:
            write(target, program, layout, [name])
            reporter.info(f"Wrote {target.path}")
        elif runtime:
            runtime.load(program, [name], reporter)
            reporter.info(f"Loaded {name}")


def _made(services: Services) -> Path:
    from cog_nix.config.model import Settings  # noqa: PLC0415 - as above
    from cog_nix.container import image  # noqa: PLC0415

    return image.Maker(services.plugins, services.context(Settings())).whole()
