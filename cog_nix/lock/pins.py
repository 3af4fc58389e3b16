"""What the previous lock says of packages that are to stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.lock.upgrade import BUILDERS, INTERPRETER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.lock.model import Interpreter, Lock, NixPackage, Seed, Toolkit, Wheel
    from cog_nix.lock.upgrade import Upgrade


@dataclass(frozen=True)
class Pins:
    """The pins that are kept; none where there was no lock."""

    previous: Lock | None
    upgrade: Upgrade
    sibling: Lock | None = None
    """The lock of another platform, whose versions are taken where this one has none so far."""

    @property
    def _versions(self) -> Lock | None:
        return self.previous or self.sibling

    @property
    def interpreter(self) -> Interpreter | None:
        """The project's Python."""
        return self.previous.interpreter if self.previous and self.upgrade.keeps(INTERPRETER) else None

    @property
    def seeds(self) -> tuple[Seed, ...]:
        """The builders' Python, this machine's first where there is one."""
        kept = self._versions if self.upgrade.keeps(BUILDERS) else None
        return (kept.seed, *kept.seeds) if kept else ()

    @property
    def toolkit(self) -> Toolkit | None:
        """The compiler for GPUs."""
        return self.previous.toolkit if self.previous and not self.upgrade.everything else None

    @property
    def debs(self) -> dict[str, str]:
        """Versions of system packages by name."""
        debs = self._versions.debs if self._versions else ()
        return {deb.package: deb.version for deb in debs if self.upgrade.keeps(deb.package)}

    @property
    def wheels(self) -> dict[str, str]:
        """Versions of Python packages by name."""
        wheels = self._versions.wheels if self._versions else ()
        return {wheel.name: wheel.version for wheel in wheels if self.upgrade.keeps(wheel.name)}

    @property
    def reasons(self) -> dict[str, str]:
        """Why Python packages are what they are, by name."""
        return {name: reason for name, reason in self.told.items() if name in self.wheels}

    @property
    def told(self) -> dict[str, str]:
        """All reasons of the lock so far, by package."""
        reasons = self.previous.reasons if self.previous else ()
        return {reason.package: reason.sentence for reason in reasons}

    @property
    def packages(self) -> dict[str, NixPackage]:
        """Nix packages by reference."""
        packages = self._versions.packages if self._versions else ()
        return {package.reference: package for package in packages if self.upgrade.keeps(package.reference)}

    @property
    def builds(self) -> dict[str, dict[str, str]]:
        """Versions that sources were built with, by the source's name."""
        return {
            wheel.name: {one.name: one.version for one in wheel.source.requires}
            for wheel in (self._versions.wheels if self._versions else ())
            if wheel.source and self.upgrade.keeps(wheel.name)
        }

    @property
    def commits(self) -> dict[str, str]:
        """Commits of git sources, by ``git+REPOSITORY@REVISION``."""
        wheels = self._versions.wheels if self._versions else ()
        return commits_of([wheel for wheel in wheels if self.upgrade.keeps(wheel.name)])


def commits_of(wheels: Sequence[Wheel]) -> dict[str, str]:
    """Return the commits of git sources, by ``git+REPOSITORY@REVISION``."""
    found = {}
    for wheel in wheels:
        if wheel.source and wheel.source.kind == "git":
            repository, _, commit = wheel.artifact.url.rpartition("@")
            found[f"{repository}@{wheel.source.revision}"] = commit
    return found
