"""Which pins of the previous lock may move."""

from __future__ import annotations

from dataclasses import dataclass

INTERPRETER = "python"
"""The name that lets the patch level of the project's Python move, where that is no Debian package."""
BUILDERS = "builders"
"""The name that lets the Python move that runs builders; it is in no image."""


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
