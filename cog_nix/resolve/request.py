"""What is to be resolved, as one value, and what it is resolved with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cog_nix.lock.pins import Pins
from cog_nix.lock.upgrade import Upgrade
from cog_nix.resolve import inputs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.elf.scan import Scan
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import Context
    from cog_nix.report import Reporter
    from cog_nix.resolve.needs import Owner
    from cog_nix.store.nix import Nix


@dataclass(frozen=True)
class Request:
    """What is to be resolved."""

    project: Project
    config: Config
    settings: Settings
    """cog-nix.toml, completed (:func:`cog_nix.resolve.cog_base.completed`)."""
    base_image: tuple[str, ...] = ()
    """The packages of Cog's base image, where they come."""
    previous: Lock | None = None
    """The lock so far, whose pins are kept where they fit."""
    upgrade: Upgrade = field(default_factory=Upgrade)
    """Pins that may move."""
    results: Mapping[Owner, Scan] | None = None
    """What commands and source builds left behind; None: what the previous lock knows of it."""
    sibling: Lock | None = None
    """The lock of another platform, where there is none of this one so far."""

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.project.root

    @property
    def pins(self) -> Pins:
        """What is to stay as it is."""
        return Pins(self.previous, self.upgrade, self.sibling)

    @property
    def digest(self) -> str:
        """What tells whether a lock is for this (:mod:`cog_nix.resolve.inputs`)."""
        return inputs.digest(self.config, self.settings, self.root, self.base_image, self.project.platform)

    @property
    def commands(self) -> int:
        """How many commands there are."""
        return len(self.config.build.run) + len(self.config.build.pre_install)

    def in_suite(self, suite: str) -> Request:
        """Return the same for another suite."""
        system = replace(self.settings.system, suite=suite)
        return replace(self, settings=self.settings.with_system(system))


@dataclass(frozen=True)
class Tools:
    """What it is resolved with."""

    plugins: Plugins
    context: Context
    nix: Nix | None = None
    asked_in: Mapping[str, str] = field(default_factory=dict)
    """Where each system package is asked for (``cog.yaml:7``), for error messages."""
    python_asked_in: Mapping[str, str] = field(default_factory=dict)
    """Where each Python package is asked for, by normalised name."""

    @property
    def reporter(self) -> Reporter:
        """Who hears of what is done."""
        return self.context.reporter

    def within(self, settings: Settings) -> Tools:
        """Return the same with other settings for hooks."""
        return replace(self, context=replace(self.context, settings=settings))
