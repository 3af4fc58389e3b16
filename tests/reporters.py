"""Reporters that remember, for tests of what is said."""

from __future__ import annotations

from cog_nix.report import SilentReporter


class Warnings(SilentReporter):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)
