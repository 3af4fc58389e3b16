"""Programs that nobody named: what the project's source starts, and nothing in the image has.

See docs/design/programs.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.config import commands
from cog_nix.errors import CogNixError
from cog_nix.plugins.spec import ProgramRequest
from cog_nix.programs.project import Start, started_by

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cog_nix.config.model import Config, Settings
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import Context


def starts(
    root: Path, config: Config, settings: Settings, plugins: Plugins, paths: Iterable[str] | None = None
) -> tuple[Start, ...]:
    """Return the programs that a project's source starts, without those that it, ``run:`` or every image has.

    Args:
        root: the project's folder.
        config: its commands install some.
        settings: may say that none are looked for.
        plugins: know what every image has.
        paths: what of the project reaches the image; None: it is looked for.

    Raises:
        ConfigError: ``.dockerignore`` is malformed, or a folder cannot be read.
    """
    if not settings.system.programs:
        return ()
    everywhere = plugins.describe_system().programs
    found = started_by(root, commands.texts(config.build), paths, everywhere=everywhere)
    return tuple(start for start in found if start.program not in settings.system.ignore_programs)


def names(found: Iterable[Start]) -> tuple[str, ...]:
    """Return the programs' names, as the lock has them."""
    return tuple(sorted(start.program for start in found))


def unknown(lock: Lock, found: Iterable[Start]) -> tuple[Start, ...]:
    """Return the programs that a lock was made without; none where its source was not looked into."""
    return () if lock.programs is None else tuple(one for one in found if one.program not in lock.programs)


def package_of(program: str, suite: str, plugins: Plugins, context: Context) -> str:
    """Return the package that has a program, for advice; "" where none is known, or nobody can be asked."""
    try:
        found = plugins.find_programs(ProgramRequest(suite, (program,), ()), context)
    except CogNixError:
        return ""
    return (found or {}).get(program, "")
