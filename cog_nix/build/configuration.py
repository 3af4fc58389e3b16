"""A project's configuration: where each package is asked for in it, and why one is in the image."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix import config as cog_config
from cog_nix.config.requirements import normalised
from cog_nix.errors import NoLockError
from cog_nix.lock import format as lock_format

if TYPE_CHECKING:
    from cog_nix.config.model import Project, Settings
    from cog_nix.lock.explain import Asked
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.manager import Plugins
    from cog_nix.report import Reporter

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def load(project: Project, plugins: Plugins, reporter: Reporter) -> tuple[cog_config.Loaded, Settings]:
    """Read cog.yaml and cog-nix.toml; pass on what cog.yaml is warned about.

    Raises:
        ConfigError: one of them is wrong.
    """
    loaded = cog_config.load(project)
    for warning in loaded.warnings:
        reporter.warn(warning)
    return loaded, plugins.settings(project)


def asked_in(project: Project, loaded: cog_config.Loaded) -> dict[str, str]:
    """Return where each system package is asked for, as ``cog.yaml:7``."""
    document = loaded.document
    names = document.value(list, "build", "system_packages") or []
    return {
        str(name): f"{project.config_path.name}:{document.line('build', 'system_packages', index)}"
        for index, name in enumerate(names)
    }


def python_asked_in(project: Project, loaded: cog_config.Loaded) -> dict[str, str]:
    """Return where each Python package is asked for first, by normalised name (PEP 503)."""
    document = loaded.document
    file = document.value(str, "build", "python_requirements") or project.config_path.name
    places: dict[str, str] = {}
    for line in cog_config.requirement_lines(document, project.root):
        if found := _REQUIREMENT.match(line.text):
            places.setdefault(normalised(found[0]), f"{file}:{line.number}")
    return places


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
    from cog_nix.lock import explain as lock_explain  # noqa: PLC0415 - a build goes without

    lock = lock_format.read(project.lock_path, project.platform)
    if lock is None:
        raise NoLockError(project.lock_path.name)
    return lock_explain.explain(lock, name, asked_of(project, lock, plugins))


def asked_of(project: Project, lock: Lock, plugins: Plugins) -> Asked:
    """Return what a project names, and where.

    Args:
        project: whose.
        lock: its lock.
        plugins: know what every image has.

    Raises:
        ConfigError: cog.yaml is wrong.
    """
    from cog_nix.lock.explain import Asked  # noqa: PLC0415 - a build goes without
    from cog_nix.programs.project import started_by  # noqa: PLC0415 - the same
    from cog_nix.resolve.cog_base import PLACE  # noqa: PLC0415 - the same

    loaded = cog_config.load(project)
    facts = plugins.describe_system()
    base = dict.fromkeys(facts.cog_base, PLACE) if lock.cog_base else {}
    started = started_by(project.root, everywhere=facts.programs) if lock.programs else ()
    return Asked(
        system={**base, **asked_in(project, loaded)},
        python=python_asked_in(project, loaded),
        starts={start.program: start.place for start in started},
        always=facts.tools,
    )
