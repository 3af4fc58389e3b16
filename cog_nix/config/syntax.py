"""Why a text is no YAML, in words for somebody who writes one YAML file a year.

The parser knows where it stumbled; the cause is often a line above. The explanations cover what real files
get wrong: a list item without its dash, no space behind a colon, tabs, quotes and brackets left open.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import yaml

from cog_nix.config.form import keys
from cog_nix.config.problem import Problem, split_lines

if TYPE_CHECKING:
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
    trouble = error.problem or "this is not YAML"
    for pattern, say in _EXPLANATIONS:
        if re.search(pattern, trouble):
            return say(lines, number, start)
    return Problem(
        number + 1, f"invalid YAML: {trouble}", "Put the value in quotes if it should be a plain text."
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
        item = re.fullmatch(r"- +(.*\S +\S.*)", line.strip())
        head, value = ("-", item[1]) if item and " " in match[1].strip(" -") else (match[1].strip(), match[2])
        what = "a value with a colon and a space in it needs quotes"
        return Problem(number + 1, what, "Write: {} '{}'".format(head, value.replace("'", "''")))
    above = _line_above(lines, number)
    if above is None:
        return Problem(number + 1, "there is a colon where none can be", "Put the value in quotes.")
    if missing_space(lines[above]):
        return without_space(lines, above)
    if _is_section(lines, above):
        return Problem(
            above + 1, "this key has a value, and keys of its own below", f"Write: {_key(lines[above])}:"
        )
    if re.fullmatch(r"\s*[A-Za-z_]\w*\s*", lines[above]):
        return Problem(above + 1, "there is no colon after this key", f"Write: {lines[above].strip()}:")
    return _without_colon(lines, above) or _indentation(lines, number, number)


def _without_colon(lines: list[str], number: int) -> Problem | None:
    """A key and its value without a colon between them: ``gpu true``."""
    key, _, value = lines[number].strip().partition(" ")
    if key not in keys() or not value.strip():
        return None
    return Problem(number + 1, "there is no colon after this key", f"Write: {key}: {value.strip()}")


def _no_colon(lines: list[str], number: int, start: int) -> Problem:
    """A line that is neither ``key: value`` nor ``- item``."""
    number = min(start, number)
    line = lines[number]
    if missing_space(line):
        return without_space(lines, number)
    if lacking := _without_colon(lines, number):
        return lacking
    above = _line_above(lines, number)
    if _lacks_dash(lines, number, above):
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
            number + 1, "there is text after the closing quote", "Put the whole value in one pair of quotes."
        )
    above = _line_above(lines, number)
    if _lacks_dash(lines, number, above):
        return Problem(number + 1, "this list item has no dash", f"Write: - {line}")
    return _indentation(lines, number, start)


def without_space(lines: list[str], number: int) -> Problem:
    """A key with its value at its colon: ``gpu:true``, and ``build:1`` above the keys of build."""
    fix = f"{_key(lines[number])}:" if _is_section(lines, number) else (missing_space(lines[number]) or "")
    return Problem(number + 1, "there is no space after the colon", f"Write: {fix.strip()}")


def _key(line: str) -> str:
    return line.partition(":")[0].strip()


def _is_section(lines: list[str], number: int) -> bool:
    """Return whether a line begins a section: one of the top level, or one that has deeper keys below it.

    A key with a value that stands above deeper keys may be right, and they be indented too much; then their
    column is one that no section's would be.
    """
    key = _key(lines[number])
    below = next((line for line in lines[number + 1 :] if line.strip() and line.lstrip()[0] != "#"), "")
    return (
        keys().get(key, False)
        and ":" in lines[number]
        and (not lines[number][0].isspace() or _column(below) > _column(lines[number]))
    )


def _lacks_dash(lines: list[str], number: int, above: int | None) -> bool:
    line = lines[number].strip()
    return (
        above is not None
        and lines[above].lstrip().startswith("- ")
        and not line.startswith("- ")
        and ": " not in f"{line} "
    )


def _indentation(lines: list[str], number: int, _start: int) -> Problem:
    """A line in a column of its own; where another column makes it YAML, that is the one to write."""
    line = lines[number].strip()
    is_item = line.startswith("- ")
    fix = "Keys of one section, and items of one list, begin in the same column."
    for above in _nearest_columns(lines, number, is_item=is_item):
        column = _column(lines[above])
        if _goes_on([*lines[:number], " " * column + line, *lines[number + 1 :]], number):
            spaces = f"{column} spaces" if column else "no space"
            fix = f"Write it with {spaces} before it, as line {above + 1} has:\n{' ' * column}{line}"
            break
    return Problem(number + 1, "this line is not indented like the ones it belongs to", fix)


def _nearest_columns(lines: list[str], number: int, *, is_item: bool) -> list[int]:
    """Return lines above of the same kind, one for each column, the one most like this line's first."""
    by_column: dict[int, int] = {}
    for index in range(number - 1, -1, -1):
        text = lines[index].strip()
        if text and text[0] != "#" and text.startswith("- ") == is_item:
            by_column.setdefault(_column(lines[index]), index)
    own = _column(lines[number])
    return [by_column[column] for column in sorted(by_column, key=lambda column: abs(column - own))]


def _column(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _goes_on(lines: list[str], number: int) -> bool:
    """Return whether a text is YAML up to and with a line."""
    try:
        yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        return error.problem_mark is not None and error.problem_mark.line > number
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    return True


def _tab(lines: list[str], number: int, _start: int) -> Problem:
    spaces = lines[number].expandtabs(2).rstrip()
    return Problem(
        number + 1,
        "there is a tab; YAML is indented with spaces",
        f"Write: {spaces}" if spaces.strip() else "",
    )


def _quoted(line: str) -> str:
    match = re.fullmatch(r"(\s*(?:- +)?(?:[^:]+: +)?)(.*?)\s*", line)
    head, value = (match[1], match[2]) if match else ("", line)
    return f"""{head.strip()} '{value.replace("'", "''")}'""".strip()


def _line_above(lines: list[str], number: int) -> int | None:
    """Return the index of the nearest line above that is neither blank nor a comment."""
    return next(
        (i for i in range(number - 1, -1, -1) if lines[i].strip() and not lines[i].lstrip().startswith("#")),
        None,
    )


_Explain = Callable[[list[str], int, int], Problem]
"""Takes the lines, the index of that where the parser stumbled, and of that where what it read began."""


def _needs_quotes(what: str, advice: str) -> _Explain:
    return lambda lines, number, _: Problem(number + 1, what, f"{advice}: {_quoted(lines[number])}")


def _never_closed(what: str, fix: str) -> _Explain:
    return lambda _lines, _number, start: Problem(start + 1, f"the {what}", fix)


def _escape(_lines: list[str], number: int, _start: int) -> Problem:
    what = "a backslash in double quotes begins an escape, and this one does not exist"
    return Problem(number + 1, what, "Use single quotes, in which a backslash is a backslash.")


_EXPLANATIONS: tuple[tuple[str, _Explain], ...] = (
    (r"mapping values are not allowed", _mapping_value),
    (r"could not find expected ':'", _no_colon),
    (r"'\\t'", _tab),
    (
        r"character '[@`%]'",
        _needs_quotes("a value that begins with one of @ ` % needs quotes", "For example"),
    ),
    (
        r"undefined alias",
        _needs_quotes(
            "a value that begins with * refers to an anchor, and there is none of this name",
            "Put it in quotes",
        ),
    ),
    (r"escape character", _escape),
    (
        r"found unexpected end of stream",
        _never_closed("quote that opens here is never closed", "Add the closing quote."),
    ),
    (
        r"expected ',' or '[\]}]'",
        _never_closed(
            "bracket that opens here is never closed, or a comma is missing", "Close it, or add the comma."
        ),
    ),
    (r"expected <block end>, but found '<block mapping start>'", _indentation),
    (r"expected <block end>", _unexpected),
)
