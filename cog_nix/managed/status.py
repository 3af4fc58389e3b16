"""How each weight stands: cog.yaml, ``weights.lock`` and the registry held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cog_nix.managed.publishing import missing_layers
from cog_nix.weights.lock import changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.config.model import Config
    from cog_nix.managed.source import Surroundings
    from cog_nix.registry.client import Repository
    from cog_nix.weights.model import LockedWeight, WeightsLock

State = Literal["ready", "incomplete", "stale", "pending", "orphaned"]


@dataclass(frozen=True)
class WeightStatus:
    """How one weight stands."""

    name: str
    target: str
    state: State
    locked: LockedWeight | None = None
    lacking: frozenset[str] | None = None
    """Digests of layers that the registry does not have; None: it was not asked."""


def statuses(
    config: Config, lock: WeightsLock, connect: Callable[[], Repository], around: Surroundings
) -> Iterator[WeightStatus]:
    """Yield how weights stand, those of cog.yaml first.

    Args:
        config: names them.
        lock: what was imported.
        connect: returns the model's repository; called where it has to be asked.
        around: what to work with.

    Raises:
        RegistryError: the registry refuses, or cannot be reached.
    """
    repository = None
    for weight in config.weights:
        known = lock.find(weight.name)
        if known is None:
            yield WeightStatus(weight.name, weight.target, "pending")
        elif any(changes(weight, known)):
            yield WeightStatus(weight.name, weight.target, "stale", known)
        else:
            repository = repository or connect()
            missing = frozenset(missing_layers(repository, known, around))
            state: State = "incomplete" if missing else "ready"
            yield WeightStatus(weight.name, weight.target, state, known, missing)
    configured = {weight.name for weight in config.weights}
    for known in lock.weights:
        if known.name not in configured:
            yield WeightStatus(known.name, known.target, "orphaned", known)
