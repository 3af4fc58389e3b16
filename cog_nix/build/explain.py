"""Why something is in a project's image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix import config as cog_config
from cog_nix.build.configuration import asked_in, python_asked_in
from cog_nix.errors import LockError
from cog_nix.lock import explain as lock_explain
from cog_nix.lock import format as lock_format
from cog_nix.programs.project import started_by
from cog_nix.resolve.cog_base import PLACE

if TYPE_CHECKING:
    from cog_nix.config.model import Project
    from cog_nix.plugins.manager import Plugins


def explain(project: Project, name: str, plugins: Plugins) -> list[str]:
    """Tell why something is in a project's image.

    Args:
        project: whose.
        name: of a package, a library or a program.
        plugins: know what every image has.

    Raises:
        ConfigError: cog.yaml is wrong.
        LockError: there is no lock, or nothing of this name in it.
    """
    lock = lock_format.read(project.lock_path)
    if lock is None:
        raise LockError(f"There is no {project.lock_path.name} yet.", hint="Make it with:  cog-nix lock")
    loaded = cog_config.load(project)
    facts = plugins.describe_system()
    base = dict.fromkeys(facts.cog_base, PLACE) if lock.cog_base else {}
    asked = lock_explain.Asked(
        system={**base, **asked_in(project, loaded)},
        python=python_asked_in(project, loaded),
        starts={start.program: start.place for start in started_by(project.root)} if lock.programs else {},
        always=facts.tools,
    )
    return lock_explain.explain(lock, name, asked)
