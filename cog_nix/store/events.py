"""Nix's event stream (``--log-format internal-json``): which builds run, what they print, what fails.

Every line on stderr that begins with ``@nix `` is a JSON object; activity and result types are those of
``src/libutil/logging.hh``.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cog_nix.report import Bar, Reporter

_BUILD, _BUILDS, _COPY = 105, 104, 100
_LOG_LINE, _PROGRESS, _EXPECTED = 101, 105, 106
_PROGRESS_LINE = re.compile(
    rf'@nix \{{"action":"result","fields":\[(\d+),(\d+)[\d,]*\],"id":(\d+),"type":{_PROGRESS}\}}'
)
"""Of a copy there is one for each 8 kB, hundreds of thousands in all: told by their looks, and not kept."""
_ERROR_LEVEL = 0
_TOLD = (_ERROR_LEVEL, 1)
"""Errors and warnings (``Verbosity``)."""
_PREFIX = re.compile(r"^(?:(?:warning|error): )+")
_OF_OTHERS = re.compile(
    r"cannot build on|substitut|binary cache|unable to (?:down|up)load|signature|public key", re.IGNORECASE
)
"""What messages about binary caches and builders have in them: a build goes on without these."""
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours, and bytes that would upset a terminal (which a builder that cannot be started sends)."""
_KEPT_LINES = 400
_SHOWN = 3


def readable(drv_path: str) -> str:
    """Return the name in a derivation's path."""
    return drv_path.rpartition("/")[2].partition("-")[2].removesuffix(".drv")


def of_others(text: str) -> str:
    """Return what a message says of binary caches and builders that Nix does without; "": nothing."""
    if not _OF_OTHERS.search(text) or text.endswith(" ms"):  # it is tried again
        return ""
    return _PREFIX.sub("", text.strip())


def few(messages: Iterable[str]) -> list[str]:
    """Return the first of some messages, each once, and how many more there are."""
    told = list(dict.fromkeys(messages))
    more = [f"and {len(told) - _SHOWN} more of this kind"] if len(told) > _SHOWN else []
    return [*told[:_SHOWN], *more]


class Log:
    """What Nix said so far.

    Args:
        reporter: gets builders' lines.
        bar: shows what is done.
        copies: whether that is bytes of copies; else it is builds.
        ended: called with the path of each derivation that is no longer being built.
    """

    def __init__(
        self,
        reporter: Reporter,
        bar: Bar,
        *,
        copies: bool = False,
        ended: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._reporter = reporter
        self._bar = bar
        self._ended = ended
        self._builds: dict[int, str] = {}
        self._lines: dict[str, list[str]] = {}
        self._activity: set[int] = set()
        self._copies: dict[int, int] | None = {} if copies else None
        self._errors: list[str] = []
        self._warnings: list[str] = []
        self._done = 0
        self.copied = 0
        """How many store paths went from one store to another."""

    def feed(self, line: str) -> bool | None:
        """Take one line of stderr; False: nobody will ask for it again."""
        if found := _PROGRESS_LINE.fullmatch(line):
            self._progress(int(found[3]), int(found[1]), int(found[2]))
            return False
        if not line.startswith("@nix "):
            if line.strip():
                self._errors.append(CONTROL.sub("", line))
            return None
        ended = ""
        with suppress(ValueError, LookupError, TypeError, AttributeError):
            # Cut short, or of another version's shape: narration, on which nothing depends.
            ended = self._take(jsonvalue.loads(line[5:]))
        if ended:
            self._ended(ended)
        return None

    def _take(self, event: dict[str, Any]) -> str:
        """Take an event; return the path of the derivation whose build it ends; "": of none."""
        action = event.get("action")
        if action == "start":
            self._start(event)
        elif action == "stop":
            return self._builds.pop(event["id"], "")
        elif action == "result":
            self._result(event)
        elif action == "msg" and event.get("level") in _TOLD:
            text = CONTROL.sub("", event.get("raw_msg") or event["msg"])
            if told := of_others(text):
                self._warnings.append(told)
            if event["level"] == _ERROR_LEVEL:
                self._errors.append(text)
        return ""

    def _start(self, event: dict[str, Any]) -> None:
        if event["type"] == _BUILDS and self._copies is None:
            self._activity.add(event["id"])
        elif event["type"] == _COPY:
            self.copied += 1
            if self._copies is not None:
                self._copies[event["id"]] = 0
            self._reporter.log(f"copying {event['fields'][0]}")
        elif event["type"] == _BUILD:
            name = readable(event["fields"][0])
            self._builds[event["id"]] = event["fields"][0]
            self._bar.describe(name)
            self._reporter.log(f"building {name}")

    def _result(self, event: dict[str, Any]) -> None:
        if event["type"] == _LOG_LINE and event["id"] in self._builds:
            name = readable(self._builds[event["id"]])
            text = CONTROL.sub("", str(event["fields"][0]))
            kept = self._lines.setdefault(name, [])
            kept.append(text)
            del kept[:-_KEPT_LINES]
            self._reporter.log(f"{name}> {text}")
        elif event["type"] == _PROGRESS:
            self._progress(event["id"], *map(int, event["fields"][:2]))
        elif event["type"] == _EXPECTED and self._copies is not None and event["fields"][0] == _COPY:
            self._bar.expect(int(event["fields"][1]))

    def _progress(self, activity: int, done: int, expected: int) -> None:
        if activity in self._activity:
            self._bar.expect(expected)
            self._bar.advance(done - self._done)
            self._done = done
        elif self._copies and activity in self._copies:
            self._bar.advance(done - self._copies[activity])
            self._copies[activity] = done

    def errors(self) -> str:
        """Return Nix's own error messages."""
        return "\n".join(self._errors)

    def warnings(self) -> list[str]:
        """Return what Nix says of binary caches and builders that it did without."""
        return few(self._warnings)

    def failed_name(self) -> str | None:
        """Return the name of the derivation that failed, when a builder did."""
        found = re.search(r"(?:builder for|[Cc]annot build) '([^']+)'", self.errors())
        return readable(found.group(1)) if found else None

    def failed_log(self) -> list[str]:
        """Return the last lines that the failed builder printed."""
        return self._lines.get(self.failed_name() or "", [])


@contextmanager
def watch(reporter: Reporter, ended: Callable[[str], object] = lambda _: None) -> Iterator[Log]:
    """Yield a log that reports on builds while it is fed.

    Args:
        reporter: hears of them.
        ended: see :class:`Log`.
    """
    with reporter.steps_bar("Building", None) as bar:
        yield Log(reporter, bar, ended=ended)


@contextmanager
def watch_copies(reporter: Reporter, text: str) -> Iterator[Log]:
    """Yield a log that counts the bytes of copies while it is fed, and shows them beside a text."""
    with reporter.bytes_bar(text, None) as bar:
        yield Log(reporter, bar, copies=True)
