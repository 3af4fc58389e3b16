"""How the core tells what it is doing, without knowing a terminal.

The CLI hands in a reporter that draws bars; tests and library users get the silent one.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class Bar(Protocol):
    """One running piece of work with a known or unknown size."""

    def advance(self, amount: int) -> None:
        """Add ``amount`` units (bytes, or steps) to what is done."""

    def describe(self, text: str) -> None:
        """Replace the text beside the bar."""

    def expect(self, total: int) -> None:
        """Tell how much it is in all, where that was not known, or has changed."""


class Reporter(Protocol):
    """Receives narration; everything goes to stderr or nowhere, never to stdout."""

    def step(self, text: str) -> None:
        """Say that a stage begins, in a few words."""

    def info(self, text: str) -> None:
        """Say something worth knowing."""

    def warn(self, text: str) -> None:
        """Say something that may surprise later."""

    def log(self, text: str) -> None:
        """Pass on a line of a tool's own output (shown with -v, and on failure)."""

    def bytes_bar(self, text: str, total: int | None) -> AbstractContextManager[Bar]:
        """Return a context manager that yields a :class:`Bar` counting bytes."""

    def steps_bar(self, text: str, total: int | None) -> AbstractContextManager[Bar]:
        """Return a context manager that yields a :class:`Bar` counting steps."""


class _SilentBar:
    def advance(self, amount: int) -> None:
        """Ignore progress."""

    def describe(self, text: str) -> None:
        """Ignore the text."""

    def expect(self, total: int) -> None:
        """Ignore how much it is."""


class SilentReporter:
    """A reporter that says nothing."""

    def step(self, text: str) -> None:
        """Say nothing."""

    info = warn = log = step

    @contextmanager
    def bytes_bar(self, text: str, total: int | None) -> Iterator[Bar]:  # noqa: ARG002
        """Yield a bar that draws nothing."""
        yield _SilentBar()

    steps_bar = bytes_bar
