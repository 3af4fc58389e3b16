"""``cog-nix container-image``: an image of cog-nix itself, for machines that only run containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build.story import Services
from cog_nix.cli.options import OutputTo  # noqa: TC001 - typer reads it
from cog_nix.cli.runtimes import usable_runtime
from cog_nix.container import image
from cog_nix.image.archives import Output, write
from cog_nix.image.description import with_tag

if TYPE_CHECKING:
    from cog_nix.cli.session import Session


@dataclass(frozen=True, kw_only=True)
class _Options:
    tag: Annotated[str, typer.Option("--tag", "-t", help="A name for the image, name:tag.")] = (
        "cog-nix:latest"
    )
    output: OutputTo = None


def container_image(session: Session, options: _Options) -> None:
    """Make an image of cog-nix itself.

    Raises:
        ImageError: it cannot be made.
        RuntimeFailure: there is nothing to load it into.
    """
    target = Output.parse(options.output) if options.output else None
    runtime = None if target else usable_runtime(session)
    services = Services(session.plugins, session.reporter)
    layout = image.Maker(services.plugins, services.context(services.plugins.settings())).whole()
    name = with_tag(options.tag)
    if target:
        write(target, None, layout, [name], session.reporter)
        session.reporter.info(f"Wrote {target.path}")
    elif runtime:
        with image.program(layout) as program:
            runtime.load(program, [name], session.reporter)
        session.reporter.info(f"Loaded {name}")
