"""Packages that nobody named, each with the reason why it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cog_nix.lock.reasons import Reason
    from cog_nix.report import Reporter


@dataclass(frozen=True)
class Additions:
    """What to add to the image."""

    reasons: tuple[Reason, ...] = ()
    """One for each package."""
    seals: tuple[tuple[str, str], ...] = ()
    """``(package, seal)``, of packages that were looked into."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted(reason.package for reason in self.reasons))

    @property
    def asked_in(self) -> dict[str, str]:
        """Why each is asked for, for error messages."""
        return {reason.package: reason.sentence for reason in self.reasons}

    def beside(self, other: Additions) -> Additions:
        """Return both; of a package that is in both, the other's reason is left out."""
        more = other.without(self.packages)
        return Additions((*self.reasons, *more.reasons), (*self.seals, *more.seals))

    def without(self, packages: Collection[str]) -> Additions:
        """Return them without some packages."""
        return Additions(
            tuple(reason for reason in self.reasons if reason.package not in packages), self.seals
        )

    def tell(self, reporter: Reporter, known: Mapping[str, object]) -> None:
        """Say what comes that the lock so far has no reason for."""
        for reason in self.reasons:
            if reason.package not in known:
                reporter.info(f"Adding {reason.package}: {reason.told or reason.sentence}")
