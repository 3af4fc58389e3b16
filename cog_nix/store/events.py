"""Nix's event stream (``--log-format internal-json``): which builds run, what they print, what fails.

Every line on stderr that begins with ``@nix `` is a JSON object; activity and result types are those of
``src/libutil/logging.hh``.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.report import Bar, Reporter

_BUILD, _BUILDS = 105, 104
_LOG_LINE, _PROGRESS = 101, 105
_ERROR_LEVEL = 0
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours, and bytes that would upset a terminal (which a builder that cannot be started sends)."""
_KEPT_LINES = 400


def readable(drv_path: str) -> str:
    """Return the name in a derivation's path."""
    return drv_path.rpartition("/")[2].partition("-")[2].removesuffix(".drv")


class Log:
    """What Nix said so far."""

    def __init__(self, reporter: Reporter, bar: Bar) -> None:
        self._reporter = reporter
        self._bar = bar
        self._builds: dict[int, str] = {}
        self._lines: dict[str, list[str]] = {}
        self._activity: set[int] = set()
        self._errors: list[str] = []
        self._done = 0

    def feed(self, line: str) -> None:
        """Take one line of stderr."""
        if not line.startswith("@nix "):
            if line.strip():
                self._errors.append(CONTROL.sub("", line))
            return
        try:
            self._take(jsonvalue.loads(line[5:]))
        except (ValueError, LookupError, TypeError, AttributeError):
            return  # cut short, or of another version's shape: narration, on which nothing depends

    def _take(self, event: dict[str, Any]) -> None:
        action = event.get("action")
        if action == "start":
            self._start(event)
        elif action == "stop":
            self._builds.pop(event["id"], None)
        elif action == "result":
            self._result(event)
        elif action == "msg" and event.get("level") == _ERROR_LEVEL:
            self._errors.append(CONTROL.sub("", event.get("raw_msg") or event["msg"]))

    def _start(self, event: dict[str, Any]) -> None:
        if event["type"] == _BUILDS:
            self._activity.add(event["id"])
        elif event["type"] == _BUILD:
            name = readable(event["fields"][0])
            self._builds[event["id"]] = name
            self._bar.describe(name)
            self._reporter.log(f"building {name}")

    def _result(self, event: dict[str, Any]) -> None:
        if event["type"] == _LOG_LINE and event["id"] in self._builds:
            name = self._builds[event["id"]]
            text = CONTROL.sub("", str(event["fields"][0]))
            kept = self._lines.setdefault(name, [])
            kept.append(text)
            del kept[:-_KEPT_LINES]
            self._reporter.log(f"{name}> {text}")
        elif event["type"] == _PROGRESS and event["id"] in self._activity:
            done, expected = map(int, event["fields"][:2])
            self._bar.expect(expected)
            self._bar.advance(done - self._done)
            self._done = done

    def errors(self) -> str:
        """Return Nix's own error messages."""
        return "\n".join(self._errors)

    def failed_name(self) -> str | None:
        """Return the name of the derivation that failed, when a builder did."""
        found = re.search(r"(?:builder for|[Cc]annot build) '([^']+)'", self.errors())
        return readable(found.group(1)) if found else None

    def failed_log(self) -> list[str]:
        """Return the last lines that the failed builder printed."""
        return self._lines.get(self.failed_name() or "", [])


@contextmanager
def watch(reporter: Reporter) -> Iterator[Log]:
    """Yield a log that reports on builds while it is fed."""
    with reporter.steps_bar("Building", None) as bar:
        yield Log(reporter, bar)
