"""Narration for programs: on stderr, a JSON object a line (docs/reference/progress.md)."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cog_nix.cli.streams import write_stderr
from cog_nix.cli.terminal import Counter, TerminalReporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.report import Bar

SWITCH = "--json-progress"


def _tell(event: str, **fields: object) -> None:
    write_stderr(f"{json.dumps({'event': event, **fields}, ensure_ascii=False)}\n")


class _Bar(Counter):
    def __init__(self, number: int, text: str, total: int | None, unit: str) -> None:
        super().__init__(total)
        self._id = number
        _tell("begin", id=number, text=text, unit=unit, total=total)

    def _show(self, _now: float) -> None:
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
