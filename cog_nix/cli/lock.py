"""``cog-nix lock``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build import story
from cog_nix.build.configuration import explain
from cog_nix.build.files import with_files
from cog_nix.cli.options import LockOptions
from cog_nix.errors import LockError
from cog_nix.lock.changes import changes
from cog_nix.lock.upgrade import Upgrade
from cog_nix.project.find import find_project
from cog_nix.resolve.ensure import Policy, ensure_lock, previous_lock
from cog_nix.resolve.request import Request

if TYPE_CHECKING:
    from cog_nix.cli.session import Session


@dataclass(frozen=True, kw_only=True)
class _Options(LockOptions):
    names: Annotated[
        list[str] | None, typer.Argument(show_default=False, help="Packages whose pins may move.")
    ] = None
    upgrade: Annotated[
        bool,
        typer.Option(
            "--upgrade", help="Move the pins of the named packages; of all packages when none is named."
        ),
    ] = False
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="NAME",
            show_default=False,
            help="Tell why a Debian package, a Python package or a library is in the image; change nothing.",
        ),
    ] = None


def lock(session: Session, options: _Options) -> None:
    """Resolve everything the image is made from and write cog-nix.lock."""
    names, upgrade, reporter = options.names or [], options.upgrade, session.reporter
    if names and not upgrade:
        raise LockError(
            "Packages can only be named together with --upgrade.",
            hint=f"cog-nix lock --upgrade {' '.join(names)}",
        )
    project = find_project(Path.cwd(), options.config_file)
    if options.explain and upgrade:
        raise LockError(
            "--explain changes nothing, so it cannot be combined with --upgrade.",
            hint="Leave one of them out.",
        )
    if options.explain:
        for line in explain(project, options.explain, session.plugins):
            typer.echo(line)
        return
    services = story.Services(session.plugins, reporter)
    loaded, settings = story.load(project, reporter)
    moving = Upgrade(everything=upgrade and not names, names=frozenset(names))
    previous = previous_lock(project, moving, update=True)
    policy = Policy(update=True, upgrade=moving, look_at_project=True, cog_base=options.use_cog_base_image)
    resolve = services.resolver(lambda: services.tools(project, loaded, settings))
    request = Request(project, loaded.config, settings)
    new = ensure_lock(request, policy, services.plugins, resolve)
    new = with_files(request, new, reporter, upgrade=moving)
    lines = changes(previous, new)
    for line in lines:
        reporter.info(line)
    if not lines:
        reporter.info(f"{project.lock_path.name} is up to date")
