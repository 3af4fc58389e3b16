"""One thing that is wrong with a file, and how several of them become one error."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable


LINE_BREAK = "\r\n|[\n\r\x85\u2028\u2029]"
"""What ends a line: YAML 1.1's line breaks, which PyYAML counts."""


_MOST_SHOWN = 40
_LONGEST_TEXT = 1000
"""Beyond these nobody reads on: what was refused is no cog.yaml."""


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong at a line.

    Args:
        line: number of the line, from 1; 0 when it is about no line (a key that is missing altogether).
        text: what is wrong, in a sentence that need not name the place.
        fix: what to write instead; shown below, one or more lines.
        name: the file, where it is not the one that the rest of the report is about.
    """

    line: int
    text: str
    fix: str = ""
    name: str = ""


def split_lines(text: str) -> list[str]:
    """Return the lines of a text as YAML counts them; at least one."""
    return re.split(LINE_BREAK, text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``Did you mean "x"?`` for the nearest known word, or nothing."""
    match = nearest(word, known)
    return f'Did you mean "{match}"?' if match else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is closest in spelling, or None."""
    by_folded = {other.casefold().replace("-", "_"): other for other in known}
    matches = difflib.get_close_matches(word.casefold().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


def config_error(name: str, text: str, problems: Iterable[Problem]) -> ConfigError:
    """Return one error that tells all problems of a file, in the order of its lines.

    Args:
        name: the file, as the user knows it.
        text: its content; the offending lines are shown.
        problems: what is wrong.
    """
    ordered = sorted(set(problems))
    lines = split_lines(text)
    shown = [_show(problem, name, lines) for problem in ordered[:_MOST_SHOWN]]
    if len(ordered) > _MOST_SHOWN:
        shown.append(f"and {len(ordered) - _MOST_SHOWN} more")
    where = "the place" if len(ordered) == 1 else f"the {len(ordered)} places"
    return ConfigError("\n".join(shown), hint=f"Change {where} shown above, then run the command again.")


def _show(problem: Problem, name: str, lines: list[str]) -> str:
    place = problem.name or name
    number = problem.line
    text = _shortened(problem.text)
    shown = [f"{place}:{number}: {text}" if number else f"{place}: {text}"]
    if not problem.name and 0 < number <= len(lines) and lines[number - 1].strip():
        shown.append(f"  {number} | {_clip(lines[number - 1])}")
    shown += [f"    {_shortened(line)}" for line in problem.fix.splitlines()]
    return "\n".join(shown)


def _shortened(text: str, most: int = _LONGEST_TEXT) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _clip(line: str) -> str:
    text = line.expandtabs(4).rstrip()
    return _shortened("".join(char if char.isprintable() else "�" for char in text), 100)
