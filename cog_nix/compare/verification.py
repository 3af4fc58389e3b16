"""An image beside what its lock and source make, once or several times over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.compare.images import Comparison, compare
from cog_nix.compare.rebuild import rebuilt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.compare.rebuild import Order
    from cog_nix.compare.subject import Subject
    from cog_nix.compare.surroundings import Surroundings
    from cog_nix.report import Reporter

OURS = "run.cog."
"""What names of labels begin with that follow from lock and source."""


@dataclass(frozen=True)
class Attempt:
    """One build, and what it makes beside the image."""

    title: str
    """How it was built."""
    comparison: Comparison


@dataclass(frozen=True)
class Verification:
    """All builds."""

    image: Subject
    attempts: tuple[Attempt, ...]
    assumed: Mapping[str, str]
    """Labels that were taken from the image, since neither lock nor source says them."""
    lacking: tuple[str, ...] = ()
    """What could not be had otherwise on this machine, and why."""

    @property
    def same(self) -> bool:
        """Whether each build made the image."""
        return all(one.comparison.same for one in self.attempts)

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "image": self.image.title,
            "id": self.image.id,
            "manifest": next(iter(self.image.manifests), None),
            "same": self.same,
            "builds": [{"title": one.title, **one.comparison.plain()} for one in self.attempts],
            "assumed_labels": dict(self.assumed),
            "not_varied": list(self.lacking),
        }


def assumed_labels(image: Subject, known: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of an image that nothing but the image tells: annotations, as a rule.

    Args:
        image: which.
        known: labels that the lock, Git or the user tells.
    """
    return {
        name: value
        for name, value in sorted(image.labels.items())
        if not name.startswith(OURS) and name not in known
    }


def verify(
    image: Subject, order: Order, builds: Sequence[Surroundings], reporter: Reporter
) -> tuple[Attempt, ...]:
    """Build again, and compare each time.

    Args:
        image: that should come out.
        order: what is built.
        builds: how, each time.
        reporter: shows how far it got.

    Raises:
        CogNixError: it cannot be built, or the image not be read.
    """
    attempts = []
    for number, how in enumerate(builds, 1):
        reporter.step(f"Rebuilding {number} of {len(builds)}: {how.title}")
        with rebuilt(order, how, reporter) as built:
            found = compare(image, built, look_inside=image.whole is None)
            if image.whole and not found.same:
                image = image.whole()
                found = compare(image, built)
        attempts.append(Attempt(how.title, found))
    return tuple(attempts)
