"""Source for a newer Python than the one that reads it.

From Python 3.12 on (PEP 701) a formatted string may use its own quotes inside. A model may be written for
that while an older Python reads its signature. What functions do is not part of a signature, so the functions
that hold such strings are read with empty bodies. Line numbers stay what they are.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings

_FUNCTION = re.compile(r"(?P<indent>[ \t]*)(?:async[ \t]+)?def[ \t]")
_MOST = 200


def parse(text: str) -> ast.Module:
    """Return the syntax tree of a module.

    Raises:
        SyntaxError: no Python reads it, as far as this one can tell.
        ValueError: it has null bytes.
        RecursionError: it is nested too deeply.
        MemoryError: as above.
    """
    for _ in range(_MOST):
        try:
            return _parse(text)
        except SyntaxError as error:
            emptied = _without_body(text, error)
            if emptied is None:
                raise
            text = emptied
    return _parse(text)


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in the user's strings are the user's
        return ast.parse(text)


def _without_body(text: str, error: SyntaxError) -> str | None:
    """Empty the innermost function around a formatted string that cannot be read; None when there is none."""
    if sys.version_info >= (3, 12) or not error.msg.startswith("f-string: ") or not error.lineno:
        return None
    lines = re.split(r"\r\n|\r|\n", text)
    at = min(error.lineno, len(lines)) - 1
    depth = _indent(lines[at])
    for number in range(at - 1, -1, -1):
        found = _FUNCTION.match(lines[number])
        if found and len(found["indent"]) < depth:
            return _emptied(lines, number, len(found["indent"]), at)
    return None


def _emptied(lines: list[str], header: int, depth: int, at: int) -> str | None:
    """Return the module with the body emptied of the function whose header starts at a line."""
    first = header + 1
    while first <= at and not lines[first - 1].split("#")[0].rstrip().endswith(":"):
        first += 1
    end = at
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > depth):
        end += 1
    if first > at:
        return None
    kept = " " * (depth + 1)
    body = [f"{kept}pass", *[""] * (end - first - 1)]
    return "\n".join([*lines[:first], *body, *lines[end:]])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
