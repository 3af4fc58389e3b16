"""Which pins of a former lock may move."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Upgrade:
    """None, some by name, or all."""

    everything: bool = False
    names: frozenset[str] = frozenset()

    @property
    def anything(self) -> bool:
        """Whether any pin may move."""
        return self.everything or bool(self.names)

    def keeps(self, name: str) -> bool:
        """Say whether a package's pin is kept."""
        return not self.everything and name not in self.names
