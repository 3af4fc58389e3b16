"""``cog-nix lock``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build import story
from cog_nix.build.commands import with_runs
from cog_nix.build.configuration import asked_of, explain
from cog_nix.build.files import with_files
from cog_nix.cli.building import given_secrets
from cog_nix.cli.changes import told
from cog_nix.cli.comparing import DIFFERS
from cog_nix.cli.options import LockOptions
from cog_nix.cli.platforms import parsed, platforms_of
from cog_nix.compare import inventory
from cog_nix.compare.diff import diff
from cog_nix.compare.fixes import with_fixes
from cog_nix.config import load_settings
from cog_nix.errors import FlagError
from cog_nix.lock import format as lock_format
from cog_nix.lock.changes import changes
from cog_nix.lock.upgrade import Upgrade
from cog_nix.project.find import find_project
from cog_nix.resolve.ensure import Policy, ensure_lock, previous_lock
from cog_nix.resolve.request import Request
from cog_nix.resolve.seed import with_own
from cog_nix.run_commands.ensure import RunOptions

if TYPE_CHECKING:
    from cog_nix.cli.session import Session
    from cog_nix.config import Loaded
    from cog_nix.config.model import Project, Settings
    from cog_nix.lock.model import Lock
    from cog_nix.report import Reporter
    from cog_nix.run_commands.causes import Unsteady
    from cog_nix.system.platforms import Platform


@dataclass(frozen=True, kw_only=True)
class _Options(LockOptions):
    names: Annotated[list[str] | None, typer.Argument(help="Packages whose pins may move.")] = None
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            help="What to lock for: linux/amd64 or linux/arm64; may be repeated, and locks of others stay. "
            "[default: what cog-nix.toml names, or else what the lock has, or linux/amd64]",
        ),
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
            help="Tell why a system package, a Python package or a library is in the image; change nothing.",
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
    reporter = session.reporter
    options.refuse_contradictions()
    project = find_project(Path.cwd(), options.config_file)
    chosen = _platforms(project, options.platform)
    if options.explain:
        for line in explain(replace(project, platform=chosen[0]), options.explain, session.plugins):
            typer.echo(line)
        return
    services = story.Services(session.plugins, reporter)
    loaded, settings = story.load(project, session.plugins, reporter)
    for platform in chosen:
        if len(chosen) > 1 or not platform.is_usual:
            reporter.step(f"Locking for {platform}")
        _lock(replace(project, platform=platform), loaded, settings, options, services)
    if settings.image.platforms and not options.dry_run:
        _forget_others(project, settings, reporter)


def _platforms(project: Project, given: list[str] | None) -> tuple[Platform, ...]:
    """Return the platforms to lock for.

    Raises:
        FlagError: one that is named does not exist.
        LockError: nothing is named, and the lock cannot be read.
    """
    if given:
        return tuple(dict.fromkeys(map(parsed, given)))
    settings = load_settings(project)
    if settings.image.platforms:
        return platforms_of(settings)
    return lock_format.locked_platforms(project.lock_path) or platforms_of(settings)


def _forget_others(project: Project, settings: Settings, reporter: Reporter) -> None:
    """Take out of a lock what cog-nix.toml names no more."""
    for platform in lock_format.locked_platforms(project.lock_path):
        if platform.name not in settings.image.platforms:
            lock_format.forget(platform, project.lock_path)
            reporter.info(f"removed  {platform}, which {project.settings_path.name} does not name")


def _lock(
    project: Project, loaded: Loaded, settings: Settings, options: _Options, services: story.Services
) -> None:
    """Resolve for one platform."""
    names, reporter = options.names or [], services.reporter
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
        new = with_own(new, project.lock_path, lambda: services.tools(project, loaded, settings))
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
    secrets = given_secrets(options.secret, options.config_file)
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
