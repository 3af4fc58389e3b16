"""``[[check]]`` of cog-nix.toml becomes :class:`Check`: what a model has to answer, or refuse."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING, Any

from cog_nix.config.model import Check
from cog_nix.config.problem import Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TABLE = "check"
_HEADER = re.compile(rf"\s*\[\[\s*[\"']?{TABLE}[\"']?\s*\]\]")
_ANY_HEADER = re.compile(r"\s*\[")
_DEEPEST = 50


def checks(value: Any, text: str, problems: list[Problem]) -> tuple[Check, ...]:
    """Return the checks that a file declares.

    Args:
        value: what TOML has under the name.
        text: the file, for the lines of what is wrong.
        problems: gets what is wrong.
    """
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        problems.append(Problem(0, f"{TABLE} must be a list of tables", f"Write: [[{TABLE}]]"))
        return ()
    found = []
    for number, table in enumerate(value):
        wrong = list(_wrong(table, _Place(text, number)))
        problems += wrong
        if not wrong:
            found.append(_check(table, number))
    names = [one.name for one in found]
    for number, name in enumerate(names):
        if name in names[:number]:
            line = _Place(text, number).line("name")
            problems.append(
                Problem(line, f'two checks have the name "{name}"', "Give each a name of its own.")
            )
    return tuple(found)


@dataclasses.dataclass(frozen=True)
class _Place:
    """A check in a file."""

    text: str
    number: int
    """From 0."""

    def line(self, key: str = "") -> int:
        """Return the line of a key, or that of the check; 0 when it is not found."""
        lines = self.text.splitlines()
        headers = [number for number, line in enumerate(lines, 1) if _HEADER.match(line)]
        if self.number >= len(headers):
            return 0
        first = headers[self.number]
        for number, line in enumerate(lines[first:], first + 1):
            if _ANY_HEADER.match(line) and not re.match(rf"\s*\[\s*{TABLE}\s*\.\s*{re.escape(key)}\b", line):
                break
            if key and re.match(rf"\s*(\[\s*{TABLE}\s*\.\s*)?[\"']?{re.escape(key)}[\"']?\s*[.=\]]", line):
                return number
        return first


def _check(table: Mapping[str, Any], number: int) -> Check:
    return Check(**{"name": f"check {number + 1}", "input": {}, **table})


def _wrong(table: Mapping[str, Any], place: _Place) -> Iterator[Problem]:
    """Yield what is wrong with a check."""
    known = {field.name for field in dataclasses.fields(Check)}
    for key, value in table.items():
        if key not in known:
            fix = did_you_mean(key, known) or f"Known are {', '.join(sorted(known))}."
            yield Problem(place.line(key), f'there is no setting "{TABLE}.{key}"', fix)
        elif not _KEYS[key][0](value):
            _, must, example = _KEYS[key]
            yield Problem(place.line(key), f"{TABLE}.{key} must be {must}", f"For example: {example}")
    expected = [key for key in ("output", "output_file", "pattern", "near", "refused") if key in table]
    if len(expected) > 1:
        told = f"a check has {' and '.join(expected)}"
        yield Problem(place.line(expected[1]), told, "A check expects one thing: leave the others out.")
    if ("near" in table) != ("tolerance" in table):
        told = "near and tolerance belong together"
        yield Problem(place.line("near" if "near" in table else "tolerance"), told, _NEAR)


def _is_json(value: Any, depth: int = _DEEPEST) -> bool:
    """Whether JSON has such a value: TOML has dates, and numbers that are none."""
    if not depth:
        return False
    if isinstance(value, dict):
        return all(_is_json(one, depth - 1) for one in value.values())
    if isinstance(value, list):
        return all(_is_json(one, depth - 1) for one in value)
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except (re.error, RecursionError, OverflowError):
        return False


def _is_tolerance(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


_NEAR = "For example: near = 3.14, tolerance = 0.01"
_KEYS: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "name": (_is_name, "a line of text", 'name = "greets by name"'),
    "input": (
        lambda value: isinstance(value, dict) and _is_json(value),
        "a table of texts, numbers, truth values, lists and tables",
        'input = { text = "Ada", image = "@photo.png" }',
    ),
    "output": (_is_json, "a text, a number, a truth value, a list or a table", 'output = "hello Ada"'),
    "output_file": (_is_name, "the path of a file", 'output_file = "expected.png"'),
    "pattern": (_is_pattern, "a regular expression", 'pattern = "^hello "'),
    "near": (_is_json, "a number, or a list or table of numbers", "near = 3.14"),
    "tolerance": (_is_tolerance, "a number, 0 or more", "tolerance = 0.01"),
    "refused": (_is_pattern, "a regular expression", 'refused = "at least 1"'),
}
"""By key: what fits, what it must be, and an example."""
