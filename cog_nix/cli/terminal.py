"""Narration on stderr: plain lines, and bars where someone is watching."""

from __future__ import annotations

import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cog_nix.cli.streams import write_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from cog_nix.report import Bar

_SECONDS_BETWEEN = 0.1
"""The least time between two signs of one bar."""
_WIDTH = 28
_CLEAR = "\r\x1b[K"
_COLOURS = {"error:": "\x1b[1;31m", "warning:": "\x1b[1;33m"}
"""Bold red and bold yellow (ECMA-48, 8.3.117 SGR)."""
_PLAIN = "\x1b[0m"
_UNITS = ("B", "kB", "MB", "GB", "TB")


def print_error(text: str) -> None:
    """Write an error or a warning; a terminal shows in colour which of them it is."""
    if coloured(os.environ, terminal=sys.stderr.isatty()):
        text = painted(text)
    write_stderr(f"{text}\n")


def coloured(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether colours are wanted, by upstream's rules (pkg/util/console)."""
    unwanted = environ.get("NO_COLOR") or environ.get("COG_NO_COLOR") or environ.get("TERM") == "dumb"
    return terminal and not unwanted


def painted(text: str) -> str:
    """Return a text with its first word in colour, where that is ``error:`` or ``warning:``."""
    word, space, rest = text.partition(" ")
    return f"{_COLOURS[word]}{word}{_PLAIN}{space}{rest}" if word in _COLOURS else text


def amount(count: float) -> str:
    """Return a number of bytes for people, in powers of 1000: ``12.3 MB``."""
    value = float(count)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 - the SI step
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


class Counter(ABC):
    """What is done of something; shown now and then."""

    def __init__(self, total: int | None) -> None:
        self._total, self._done, self._detail = total, 0, ""
        self._began = self._shown_at = time.monotonic()
        self._lock = threading.Lock()

    def advance(self, amount: int) -> None:
        """Count."""
        with self._lock:
            self._done += amount
            self._tell()

    def describe(self, text: str) -> None:
        """Say what is being done."""
        with self._lock:
            self._detail = text
            self._tell()

    def expect(self, total: int) -> None:
        """Change how much it is in all."""
        with self._lock:
            self._total = total

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._shown_at >= _SECONDS_BETWEEN:
            self._shown_at = now
            self._show(now)

    @abstractmethod
    def _show(self, now: float) -> None:
        """Show how far it is."""


class _Line(Counter):
    """A bar on one line of a terminal; silent where there is none."""

    def __init__(self, text: str, total: int | None, *, in_bytes: bool, shown: bool, summed_up: bool) -> None:
        super().__init__(total)
        self._text, self._in_bytes, self._shown = text, in_bytes, shown
        self._summed_up = in_bytes and summed_up
        self._shown_at = 0.0

    def _show(self, now: float) -> None:
        if self._shown:
            write_stderr(f"{_CLEAR}{self._line(now)}")

    def _line(self, now: float) -> str:
        if not self._in_bytes:
            of_all = f" of {self._total}" if self._total and self._total >= self._done else ""
            count = f" {self._done}{of_all}" if self._done else ""
            return f"  {self._text}{count}: {self._detail}"[:100]
        seconds = max(now - self._began, 0.001)
        rate = f"{amount(self._done / seconds)}/s"
        if not self._total or self._done > self._total:  # a server's word; a part that came twice
            return f"  {self._text}: {amount(self._done)}  {rate}"
        filled = min(_WIDTH, _WIDTH * self._done // self._total)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        left = f"  {self._left(seconds)}" if seconds >= 1 and self._done else ""
        return f"  {self._text} [{bar}] {amount(self._done)} of {amount(self._total)}  {rate}{left}"

    def _left(self, seconds: float) -> str:
        """Return how long it takes from here, at the rate of before."""
        minutes, rest = divmod(round(((self._total or 0) - self._done) * seconds / self._done), 60)
        return f"{minutes} min {rest} s left" if minutes else f"{rest} s left"

    def close(self) -> None:
        """Remove the bar; leave a line that says what was done."""
        seconds = time.monotonic() - self._began
        if self._shown:
            write_stderr(_CLEAR)
        if self._summed_up and self._done:
            rate = f"{amount(self._done / max(seconds, 0.001))}/s"
            write_stderr(f"  {self._text}: {amount(self._done)} in {seconds:.1f} s ({rate})\n")


class TerminalReporter:
    """The reporter of the command line.

    Args:
        verbose: whether lines of the tools underneath are shown.
        quiet: whether errors and warnings are all that is shown.
    """

    def __init__(self, *, verbose: bool = False, quiet: bool = False) -> None:
        self.verbose = verbose
        self._quiet = quiet
        self._style = "auto"

    @property
    def _tells_progress(self) -> bool:
        """Whether it is wanted how far something has got."""
        return not self._quiet and self._style != "quiet"

    def progress(self, style: str) -> None:
        """Take ``--progress``: ``auto``, ``tty``, ``plain`` or ``quiet``."""
        self._style = style

    def step(self, text: str) -> None:
        """Say that a stage begins."""
        if self._tells_progress:
            self.info(text)

    def info(self, text: str) -> None:
        """Say something."""
        if not self._quiet:
            write_stderr(f"{text}\n")

    def warn(self, text: str) -> None:
        """Warn."""
        print_error(f"warning: {text}")

    def error(self, text: str, *, hint: str = "", kind: str = "") -> None:  # noqa: ARG002 - for programs
        """Tell what the user can mend.

        Args:
            text: what is wrong, and where.
            hint: what to do next.
            kind: the error's class.
        """
        print_error(f"error: {text}")
        if hint:
            print_error(f"\nhint: {hint}")

    def log(self, text: str) -> None:
        """Pass on a tool's line when asked for."""
        if self.verbose:
            write_stderr(f"{text}\n")

    def bytes_bar(self, text: str, total: int | None) -> AbstractContextManager[Bar]:
        """Return a bar that counts bytes and shows a rate."""
        return self._bar(text, total, in_bytes=True)

    def steps_bar(self, text: str, total: int | None) -> AbstractContextManager[Bar]:
        """Return a line that shows what is being done."""
        return self._bar(text, total, in_bytes=False)

    @contextmanager
    def _bar(self, text: str, total: int | None, *, in_bytes: bool) -> Iterator[Bar]:
        watched = self._style == "tty" or (self._style == "auto" and sys.stderr.isatty())
        shown = self._tells_progress and not self.verbose and watched
        bar = _Line(text, total, in_bytes=in_bytes, shown=shown, summed_up=self._tells_progress)
        try:
            yield bar
        finally:
            bar.close()
