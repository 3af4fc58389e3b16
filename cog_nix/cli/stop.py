"""``cog-nix stop``: end models that `run --keep` left warm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cog_nix.cli.options import ProjectOptions
from cog_nix.errors import FlagError
from cog_nix.keep import client, place
from cog_nix.keep.failures import NotEndedError
from cog_nix.project.find import find_project

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.cli.session import Session

_SECONDS = 30.0
"""So long a container may take to end."""


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    image: Annotated[
        str | None,
        typer.Argument(help="The image whose models are to end; none: those of this folder."),
    ] = None
    every: Annotated[bool, typer.Option("--all", help="End every model that is kept for you.")] = False


def stop(session: Session, options: _Options) -> None:
    """End kept models; that there is none is no failure.

    Raises:
        ConfigError: neither a project nor an image says which.
        NotEndedError: one does not end.
    """
    if options.every and options.image:
        raise FlagError("--all", "an image is named as well", options.image, hint="Give one of them.")
    is_meant, what = _meant(options)
    found = {name: told for name, told in client.kept().items() if told and is_meant(told)}
    if not found:
        session.reporter.info(f"No model is kept warm{what}.")
    with ThreadPoolExecutor(max_workers=8) as pool:
        ended = dict(zip(found, pool.map(lambda name: client.stop(name, _SECONDS), found), strict=True))
    for name, told in found.items():
        if ended[name]:
            session.reporter.info(f"Ended {told['reference']} in {told['title']}")
    if place.names():
        with place.starting():
            place.sweep()
    if left := [told for name, told in found.items() if not ended[name]]:
        raise NotEndedError([one["reference"] for one in left], [one["process"] for one in left])


def _meant(options: _Options) -> tuple[Callable[[dict[str, Any]], bool], str]:
    """Return what tells whether a model is meant, and what is said when none is."""
    if options.every:
        return lambda _: True, ""
    if options.image:
        return lambda told: told["reference"] == options.image, f" for {options.image}"
    root = str(find_project(Path.cwd(), options.config_file).root)
    return lambda told: told["root"] == root, f" for {root}"
