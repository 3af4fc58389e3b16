"""Which platform a command is about: the one that is named, or of those of cog-nix.toml this machine's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.config import load_settings
from cog_nix.errors import FlagError
from cog_nix.project.find import find_project
from cog_nix.system.platforms import AMD64, PLATFORMS, Platform, host_platform, parse_platform

if TYPE_CHECKING:
    from cog_nix.config.model import Project, Settings

FLAG = "--platform"


def project_here(config_file: str, given: str | None = None) -> Project:
    """Return the project of the current folder, for the platform that a command is about.

    Args:
        config_file: the name of its configuration.
        given: what ``--platform`` says; None: nothing.

    Raises:
        ConfigError: there is none.
        FlagError: there is no such platform.
    """
    project = find_project(Path.cwd(), config_file)
    return replace(project, platform=platform_of(project, given))


def platform_of(project: Project, given: str | None) -> Platform:
    """Return the platform that a command is about.

    Args:
        project: whose image.
        given: what ``--platform`` says; None: nothing, and the settings decide.

    Raises:
        FlagError: there is no such platform.
        ConfigError: cog-nix.toml is wrong.
    """
    if given is not None:
        return parsed(given)
    wanted = platforms_of(load_settings(project))
    host = host_platform()
    return host if host in wanted else wanted[0]


def platforms_of(settings: Settings) -> tuple[Platform, ...]:
    """Return the platforms that a project's image is for, as cog-nix.toml has them."""
    return tuple(PLATFORMS[name] for name in settings.image.platforms) or (AMD64,)


def parsed(given: str) -> Platform:
    """Return the platform of a name that was given.

    Raises:
        FlagError: images cannot be made for it.
    """
    found = parse_platform(given)
    if found is None:
        raise FlagError(FLAG, f"images can be made for {' and '.join(PLATFORMS)}.", given)
    return found
