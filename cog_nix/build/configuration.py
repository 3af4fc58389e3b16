"""A project's configuration, and where each package is asked for in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix import config as cog_config
from cog_nix.config.requirements import normalised

if TYPE_CHECKING:
    from cog_nix.config.model import Project, Settings
    from cog_nix.report import Reporter

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def load(project: Project, reporter: Reporter) -> tuple[cog_config.Loaded, Settings]:
    """Read cog.yaml and cog-nix.toml; pass on what cog.yaml is warned about.

    Raises:
        ConfigError: one of them is wrong.
    """
    loaded = cog_config.load(project)
    for warning in loaded.warnings:
        reporter.warn(warning)
    return loaded, cog_config.load_settings(project)


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
