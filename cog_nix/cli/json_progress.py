"""Narration for programs: on stderr, a JSON object a line (docs/reference/progress.md)."""

from __future__ import annotations

import itertools
import json
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cog_nix.cli.streams import write_stderr
from cog_nix.cli.terminal import TerminalReporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.report import Bar

SWITCH = "--json-progress"
_SECONDS_BETWEEN = 0.1
"""The least time between two events about one bar."""


def _tell(event: str, **fields: object) -> None:
    write_stderr(f"{json.dumps({'event': event, **fields}, ensure_ascii=False)}\n")


class _Bar:
    def __init__(self, number: int, text: str, total: int | None, unit: str) -> None:
        self._id, self._total, self._done = number, total, 0
        self._detail = ""
        self._began = time.monotonic()
        self._told = self._began
        self._lock = threading.Lock()
        _tell("begin", id=number, text=text, unit=unit, total=total)

    def advance(self, amount: int) -> None:
        """Count."""
        with self._lock:
            self._done += amount
            self._progress()

    def describe(self, text: str) -> None:
        """Tell what is being done."""
        with self._lock:
            self._detail = text
            self._progress()

    def expect(self, total: int) -> None:
        """Change how much it is in all."""
        with self._lock:
            self._total = total

    def _progress(self) -> None:
        now = time.monotonic()
        if now - self._told >= _SECONDS_BETWEEN:
            self._told = now
            _tell("progress", id=self._id, done=self._done, total=self._total, detail=self._detail)

    def close(self) -> None:
        """Tell that this is over, whether it succeeded or not."""
        seconds = round(time.monotonic() - self._began, 3)
        _tell("end", id=self._id, done=self._done, total=self._total, seconds=seconds)


class JsonReporter(TerminalReporter):
    """A reporter whose lines are events.

    Args:
        verbose: whether lines of the tools underneath are told.
        quiet: whether errors and warnings are all that is told.
    """

    def __init__(self, *, verbose: bool = False, quiet: bool = False) -> None:
        super().__init__(verbose=verbose, quiet=quiet)
        self._numbers = itertools.count(1)

    def step(self, text: str) -> None:
        """Tell that a stage begins."""
        if self._tells_progress:
            _tell("step", text=text)

    def info(self, text: str) -> None:
        """Tell something, without the empty lines that people want around it."""
        if not self._quiet and text.strip():
            _tell("info", text=text.strip("\n"))

    def warn(self, text: str) -> None:
        """Warn."""
        _tell("warning", text=text)

    def error(self, text: str, *, hint: str = "", kind: str = "") -> None:
        """Tell what the user can mend."""
        _tell("error", text=text, hint=hint, type=kind)

    def log(self, text: str) -> None:
        """Pass on a tool's line when asked for."""
        if self.verbose:
            _tell("log", text=text)

    @contextmanager
    def _bar(self, text: str, total: int | None, *, in_bytes: bool) -> Iterator[Bar]:
        if not self._tells_progress:
            with super()._bar(text, total, in_bytes=in_bytes) as silent:
                yield silent
            return
        bar = _Bar(next(self._numbers), text, total, "bytes" if in_bytes else "steps")
        try:
            yield bar
        finally:
            bar.close()
