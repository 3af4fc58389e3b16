"""Why a text is no YAML, in words for somebody who writes one YAML file a year.

The parser knows where it stumbled; the cause is often a line above. The explanations cover what real files
get wrong: a list item without its dash, no space behind a colon, tabs, quotes and brackets left open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.config.problem import Problem, split_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from yaml.error import MarkedYAMLError

_NO_SPACE = re.compile(r"(\s*(?:- +)?)([A-Za-z_]\w*):([^\s/].*)")
"""``gpu:true``, but not ``https://…``."""


def explain(error: MarkedYAMLError, text: str) -> Problem:
    """Return what to tell about a syntax error.

    Args:
        error: what PyYAML's own (not libyaml's) parser raised.
        text: what it parsed.
    """
    lines = split_lines(text)
    mark = error.problem_mark or error.context_mark
    number = min(mark.line if mark else 0, len(lines) - 1)
    start = error.context_mark.line if error.context_mark else number
    conflict = next((i for i, line in enumerate(lines) if re.match(r"(<{7}|={7}|>{7})( |$)", line)), None)
    if conflict is not None:
        return Problem(
            conflict + 1,
            "this is a mark of an unfinished merge",
            "Keep one of the two versions and remove the marks.",
        )
    trouble = error.problem or "this is no YAML"
    for pattern, say in _EXPLANATIONS:
        if re.search(pattern, trouble):
            return say(lines, number, start)
    return Problem(
        number + 1, f"this is no YAML: {trouble}", "Put the value in quotes if it should be a plain text."
    )


def missing_space(line: str) -> str | None:
    """Return a line with the space behind its colon, if that is what it lacks."""
    match = _NO_SPACE.fullmatch(line.rstrip())
    return f"{match[1]}{match[2]}: {match[3]}" if match else None


def _mapping_value(lines: list[str], number: int, _start: int) -> Problem:
    """Two colons in a line, or a line above that YAML took for the beginning of this one."""
    line = lines[number]
    match = re.fullmatch(r"(\s*(?:- +)?[^:#]+:) +([^\"'].*: .*|[^\"'].*:)", line.rstrip())
    if match:
        value = match[2].replace("'", "''")
        return Problem(
            number + 1,
            "a value with a colon and a space in it needs quotes",
            f"Write: {match[1].strip()} '{value}'",
        )
    above = _line_above(lines, number)
    if above is None:
        return Problem(number + 1, "there is a colon where none can be", "Put the value in quotes.")
    spaced = missing_space(lines[above])
    if spaced:
        return Problem(above + 1, "there is no space behind the colon", f"Write: {spaced.strip()}")
    if re.fullmatch(r"\s*[A-Za-z_]\w*\s*", lines[above]):
        return Problem(above + 1, "there is no colon behind this key", f"Write: {lines[above].strip()}:")
    return _indentation(lines, number, number)


def _no_colon(lines: list[str], number: int, start: int) -> Problem:
    """A line that is neither ``key: value`` nor ``- item``."""
    number = min(start, number)
    line = lines[number]
    spaced = missing_space(line)
    if spaced:
        return Problem(number + 1, "there is no space behind the colon", f"Write: {spaced.strip()}")
    above = _line_above(lines, number)
    if above is not None and lines[above].lstrip().startswith("- "):
        return Problem(number + 1, "this list item has no dash", f"Write: - {line.strip()}")
    return Problem(
        number + 1,
        "this line is neither `key: value` nor a list item `- value`",
        "Add what is missing, or put a # before it.",
    )


def _unexpected(lines: list[str], number: int, start: int) -> Problem:
    line = lines[number].strip()
    if re.search(r"""(["']).*?\1\s*[^\s,:\]}#]""", line):
        return Problem(
            number + 1, "there is text behind the closing quote", "Put the whole value in one pair of quotes."
        )
    above = _line_above(lines, number)
    if above is not None and lines[above].lstrip().startswith("- ") and ": " not in f"{line} ":
        return Problem(number + 1, "this list item has no dash", f"Write: - {line}")
    return _indentation(lines, number, start)


def _indentation(_lines: list[str], number: int, _start: int) -> Problem:
    return Problem(
        number + 1,
        "this line is not indented like the ones it belongs to",
        "Keys of one section, and items of one list, begin in the same column.",
    )


def _tab(lines: list[str], number: int, _start: int) -> Problem:
    spaces = lines[number].expandtabs(2).rstrip()
    return Problem(
        number + 1,
        "there is a tab; YAML is indented with spaces",
        f"Write: {spaces}" if spaces.strip() else "",
    )


def _special(lines: list[str], number: int, _start: int) -> Problem:
    return Problem(
        number + 1,
        "a value that begins with one of @ ` % needs quotes",
        f"For example: {_quoted(lines[number])}",
    )


def _quoted(line: str) -> str:
    match = re.fullmatch(r"(\s*(?:- +)?(?:[^:]+: +)?)(.*?)\s*", line)
    head, value = (match[1], match[2]) if match else ("", line)
    return f"""{head.strip()} '{value.replace("'", "''")}'""".strip()


def _open_quote(_lines: list[str], _number: int, start: int) -> Problem:
    return Problem(start + 1, "the quote that opens here is never closed", "Add the closing quote.")


def _open_bracket(_lines: list[str], _number: int, start: int) -> Problem:
    return Problem(
        start + 1,
        "the bracket that opens here is never closed, or a comma is missing",
        "Close it, or add the comma.",
    )


def _alias(lines: list[str], number: int, _start: int) -> Problem:
    return Problem(
        number + 1,
        "a value that begins with * refers to an anchor, and there is none of this name",
        f"Put it in quotes: {_quoted(lines[number])}",
    )


def _escape(_lines: list[str], number: int, _start: int) -> Problem:
    return Problem(
        number + 1,
        "a backslash in double quotes begins an escape, and this one does not exist",
        "Use single quotes, in which a backslash is a backslash.",
    )


def _line_above(lines: list[str], number: int) -> int | None:
    """Return the index of the nearest line above that is neither blank nor a comment."""
    return next(
        (i for i in range(number - 1, -1, -1) if lines[i].strip() and not lines[i].lstrip().startswith("#")),
        None,
    )


_EXPLANATIONS: tuple[tuple[str, Callable[[list[str], int, int], Problem]], ...] = (
    (r"mapping values are not allowed", _mapping_value),
    (r"could not find expected ':'", _no_colon),
    (r"'\\t'", _tab),
    (r"character '[@`%]'", _special),
    (r"undefined alias", _alias),
    (r"escape character", _escape),
    (r"found unexpected end of stream", _open_quote),
    (r"expected ',' or '[\]}]'", _open_bracket),
    (r"expected <block end>, but found '<block mapping start>'", _indentation),
    (r"expected <block end>", _unexpected),
)
