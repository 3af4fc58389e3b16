"""``cog-nix diff``: what changed between two locks, two images, or a lock and an image."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build.configuration import asked_of
from cog_nix.build.services import Services
from cog_nix.cli.changes import told
from cog_nix.cli.comparing import DIFFERS
from cog_nix.compare import find, inventory
from cog_nix.compare.diff import NOBODY
from cog_nix.compare.diff import diff as compared
from cog_nix.compare.fixes import with_fixes
from cog_nix.errors import ConfigError, UnreadableFileError
from cog_nix.lock import format as lock_format
from cog_nix.project.find import find_project
from cog_nix.system.processes import ProcessError, run

if TYPE_CHECKING:
    from cog_nix.cli.session import Session
    from cog_nix.compare.inventory import Inventory
    from cog_nix.config.model import Project
    from cog_nix.lock.explain import Asked

_LOCK = ".lock"
_LOCK_NAME = "cog-nix.lock"
_LARGEST = 64 << 20
"""Bytes of a lock: one of 1000 packages has 0.5 MB."""


class NotInGitError(ConfigError):
    """Git has no such file at a revision.

    Args:
        name: ``REVISION:FILE``.
        said: what Git said.
    """

    def __init__(self, name: str, said: str) -> None:
        super().__init__(hint="Name two locks or images:  cog-nix diff OLD NEW")
        self.name, self.said = name, said

    def __str__(self) -> str:
        return f"{self.name}: Git has no such file: {self.said}"


@dataclass(frozen=True, kw_only=True)
class _Options:
    old: Annotated[
        str,
        typer.Argument(
            help="A lock (a file, or REVISION:FILE of Git), or an image: of the runtime, a file or layout, "
            "or REGISTRY/IMAGE:TAG."
        ),
    ] = f"HEAD:./{_LOCK_NAME}"
    new: Annotated[str, typer.Argument(help="What to compare it with.")] = _LOCK_NAME
    fixes: Annotated[
        bool,
        typer.Option(
            "--fixes/--no-fixes", help="Read in newer system packages which security holes they close."
        ),
    ] = True
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=f"Exit with {DIFFERS} when something differs.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False


def diff(session: Session, options: _Options) -> None:
    """Tell what changed.

    Raises:
        CogNixError: one of them cannot be read.
    """
    project = _project()
    old, new = (_inventory(session, name) for name in (options.old, options.new))
    found = compared(old, new, _asked(session, project, new, options.new))
    if options.fixes:
        settings = session.plugins.settings(project)
        context = Services(session.plugins, session.reporter).context(settings, project)
        found = replace(found, fixes=with_fixes(found, session.plugins, context))
    if options.as_json:
        typer.echo(json.dumps(found.plain(), indent=2, ensure_ascii=False))
    else:
        for line in told(found):
            typer.echo(line)
    if found and options.exit_code:
        raise typer.Exit(DIFFERS)


def _project() -> Project | None:
    try:
        return find_project(Path.cwd())
    except ConfigError:
        return None


def _asked(session: Session, project: Project | None, new: Inventory, name: str) -> Asked:
    """Return what the project here asks for, where the new lock is its own."""
    if not (project and new.lock and Path(name).absolute() == project.lock_path):
        return NOBODY
    return asked_of(project, new.lock, session.plugins)


def _inventory(session: Session, name: str) -> Inventory:
    """Return what is in the lock or image of a name.

    Raises:
        CogNixError: there is none.
    """
    if name.endswith(_LOCK) and ":" in name and not Path(name).exists():
        return inventory.of_lock(lock_format.load(_in_git(name), name), name)
    path = Path(name)
    if name.endswith(_LOCK) or _may_be_lock(path):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UnreadableFileError(name, error, hint="Make a lock with:  cog-nix lock") from error
        return inventory.of_lock(lock_format.load(text, name), name)
    with find.opened(name, session.find_runtime, session.reporter) as image:
        return inventory.of_image(
            image.whole() if image.whole else image, session.plugins.describe_database()
        )


def _may_be_lock(path: Path) -> bool:
    """Whether a file is text of a lock's kind; a pipe is, as a shell's ``<(…)`` makes them."""
    try:
        info = path.stat()
        if stat.S_ISFIFO(info.st_mode):
            return True
        with path.open("rb") as stream:
            return stat.S_ISREG(info.st_mode) and info.st_size < _LARGEST and stream.read(1) == b"{"
    except (OSError, ValueError):
        return False


def _in_git(name: str) -> str:
    """Return a file as a revision has it (gitrevisions(7))."""
    try:
        return run(["git", "show", name]).stdout
    except ProcessError as error:
        raise NotInGitError(name, error.finished.stderr.strip()) from error
