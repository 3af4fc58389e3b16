"""``cog-nix lock``."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build import story
from cog_nix.build.commands import with_runs
from cog_nix.build.configuration import asked_of, explain
from cog_nix.build.files import with_files
from cog_nix.cli.comparing import DIFFERS
from cog_nix.cli.options import LockOptions
from cog_nix.errors import FlagError
from cog_nix.lock.changes import changes
from cog_nix.lock.upgrade import Upgrade
from cog_nix.project.find import find_project
from cog_nix.resolve.ensure import Policy, ensure_lock, previous_lock
from cog_nix.resolve.request import Request
from cog_nix.run_commands.ensure import RunOptions
from cog_nix.run_commands.secrets import guard, parse

if TYPE_CHECKING:
    from cog_nix.cli.session import Session
    from cog_nix.lock.model import Lock
    from cog_nix.run_commands.causes import Unsteady


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
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Tell what would change, and write nothing."),
    ] = False
    check_runs: Annotated[
        bool,
        typer.Option(
            "--check-runs",
            help="Record what commands of run: leave, run each once more, and tell what differs then; exits "
            "with 3 if anything does.",
        ),
    ] = False
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", help="A secret for --check-runs, as `cog-nix build` takes it."),
    ] = None
    explain: Annotated[
        str | None,
        typer.Option(
            "--explain",
            metavar="NAME",
            show_default=False,
            help="Tell why a Debian package, a Python package or a library is in the image; change nothing.",
        ),
    ] = None

    def refuse_contradictions(self) -> None:
        """Refuse options that do not go together.

        Raises:
            FlagError: these are some.
        """
        if self.names and not self.upgrade:
            raise FlagError(
                "--upgrade",
                "packages can only be named together with it.",
                hint=f"cog-nix lock --upgrade {' '.join(self.names)}",
            )
        if self.explain and self.upgrade:
            raise FlagError(
                "--explain and --upgrade", "the first changes nothing.", hint="Leave one of them out."
            )
        if self.dry_run and self.check_runs:
            raise FlagError(
                "--dry-run and --check-runs", "the first writes nothing.", hint="Leave one of them out."
            )


def lock(session: Session, options: _Options) -> None:
    """Resolve everything the image is made from and write cog-nix.lock."""
    names, reporter = options.names or [], session.reporter
    options.refuse_contradictions()
    project = find_project(Path.cwd(), options.config_file)
    if options.explain:
        for line in explain(project, options.explain, session.plugins):
            typer.echo(line)
        return
    services = story.Services(session.plugins, reporter)
    loaded, settings = story.load(project, reporter)
    moving = Upgrade(everything=options.upgrade and not names, names=frozenset(names))
    previous = previous_lock(project, moving, update=True)
    policy = Policy(
        update=True,
        upgrade=moving,
        look_at_project=True,
        cog_base=options.use_cog_base_image,
        dry=options.dry_run,
    )
    resolve = services.resolver(lambda: services.tools(project, loaded, settings))
    request = Request(project, loaded.config, settings)
    new = ensure_lock(request, policy, services.plugins, resolve)
    if options.dry_run and previous:
        _preview(request, previous, new, services)
        return
    if not options.dry_run:
        new = with_files(request, new, reporter, upgrade=moving)
    lines = changes(previous, new)
    if options.dry_run:
        reporter.info(f"{project.lock_path.name} is not written: {lines[0]}")
        return
    for line in lines:
        reporter.info(line)
    if not lines:
        reporter.info(f"{project.lock_path.name} is up to date")
    if options.check_runs:
        _check_runs(request, new, options, services)


def _preview(request: Request, previous: Lock, new: Lock, services: story.Services) -> None:
    """Print what would change."""
    from cog_nix.cli.changes import told  # noqa: PLC0415 - a lock that is written goes without
    from cog_nix.compare import inventory  # noqa: PLC0415 - the same
    from cog_nix.compare.diff import diff  # noqa: PLC0415 - the same
    from cog_nix.compare.fixes import with_fixes  # noqa: PLC0415 - the same

    name = request.project.lock_path.name
    old, later = inventory.of_lock(previous, name), inventory.of_lock(new, f"{name} upgraded")
    found = diff(old, later, asked_of(request.project, new, services.plugins))
    context = services.context(request.settings, request.project)
    for line in told(replace(found, fixes=with_fixes(found, services.plugins, context))):
        typer.echo(line)


def _check_runs(request: Request, lock: Lock, options: _Options, services: story.Services) -> None:
    """Run each command once more than its result needs, and tell which leave something else then.

    Raises:
        Exit: there are some; what is recorded stays.
    """
    secrets = parse(options.secret or (), Path.cwd(), os.environ)
    guard(secrets.values())
    found: list[Unsteady] = []
    with_runs(request, lock, RunOptions(secrets=secrets, tried=found.append), services)
    for one in found:
        services.reporter.warn("\n".join(one.lines()))
    if found:
        services.reporter.info(
            "What is recorded stays; a machine that does not have it may make something else."
        )
        raise typer.Exit(DIFFERS)
    services.reporter.info("Each command leaves the same when it runs again.")
