"""What Docker makes of ``environment:``: upstream pastes its lines into one ``ENV`` instruction.

So quotes are taken away, a backslash protects the next character, ``$NAME`` and ``${NAME}`` are replaced, and
a blank outside of quotes begins another variable (Dockerfile reference, "Environment replacement" and "ENV").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]", re.ASCII)
_BRACED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+?])([^}]*))?\}", re.ASCII)
_QUOTES = "\"'"


class ExpansionError(ValueError):
    """Docker would refuse the text."""


def expand(pairs: Sequence[tuple[str, str]], known: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an ``ENV`` instruction sets.

    Args:
        pairs: names and values as ``environment:`` has them.
        known: what is set before, for ``$NAME``; a value does not see the other values.

    Raises:
        ExpansionError: a quote is not closed, a word is no ``NAME=value``, a replacement is none, or a value
            ends in a backslash.
    """
    result: dict[str, str] = {}
    for name, value in sorted(pairs):  # upstream's order, which decides where a name comes twice
        first, *more = words(f"={value}")
        first = first.removeprefix("=")
        result[name] = replaced(first, known)
        for word in more:
            other, equals, text = word.partition("=")
            if not (other and equals):
                raise ExpansionError(f'the value has a blank in it, and "{word}" is not NAME=value')
            result[replaced(other, known)] = replaced(text, known)
    return result


def words(text: str) -> list[str]:
    """Split at blanks that are neither quoted nor protected by a backslash."""
    found: list[str] = []
    current, quote, position = "", "", 0
    while position < len(text):
        char = text[position]
        step = 2 if char == "\\" and quote != "'" else 1
        if not quote and char.isspace():
            found += [current] if current else []
            current, position = "", position + 1
            continue
        if char in _QUOTES and quote in {"", char}:
            quote = "" if quote else char
        current += text[position : position + step]
        position += step
    return [*found, current] if current else found


def replaced(text: str, known: Mapping[str, str]) -> str:
    """Take quotes and backslashes away and put values in.

    Raises:
        ExpansionError: a quote is not closed, or a replacement is none.
    """
    result, quote, position = "", "", 0
    while position < len(text):
        char = text[position]
        if char in _QUOTES and quote in {"", char}:
            quote = "" if quote else char
        elif char == "\\" and quote != "'":
            if position + 1 == len(text):
                raise ExpansionError("the value ends in a backslash")
            following = text[position + 1 : position + 2]
            kept = "\\" if quote and following not in {'"', "$", "\\"} else ""
            result, position = result + kept + following, position + 1
        elif char == "$" and quote != "'":
            value, length = _value(text[position + 1 :], known)
            result, position = result + value, position + length
        else:
            result += char
        position += 1
    if quote:
        raise ExpansionError("a quote is opened and never closed")
    return result


def _value(text: str, known: Mapping[str, str]) -> tuple[str, int]:
    """Return what a ``$`` before this text stands for, and how much of the text belongs to it."""
    if text.startswith("{"):
        braced = _BRACED.match(text)
        if not braced:
            raise ExpansionError(f'"${text}" is not a ${{NAME}} that Docker knows')
        name, operator, word = braced.groups()
        is_set = bool(known.get(name))
        if operator == "?" and not is_set:
            raise ExpansionError(f"{name} is not set")
        if (operator == "-" and not is_set) or (operator == "+" and is_set):
            return replaced(word, known), braced.end()
        return ("" if operator == "+" else known.get(name, "")), braced.end()
    match = _NAME.match(text)
    return (known.get(match[0], ""), match.end()) if match else ("$", 0)
