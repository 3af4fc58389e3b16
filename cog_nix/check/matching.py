"""Compares what came with what a case expects.

An expected table may say less than what came; an expected list must have the same length. Strings in angle
brackets stand for kinds of values, ``~`` starts a regular expression:

======================= ==========================================
``<any>``               anything, null too
``<absent>``            the key must not be there
``<text>``              a string
``<number>``            a number
``<time>``              an RFC 3339 time with an offset
``<list>``, ``<table>`` a list, a table
``~pattern``            a string in which the pattern is found
======================= ==========================================
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SHOWN = 200


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def is_number(value: object) -> bool:
    """Whether a value is a number of JSON's."""
    return isinstance(value, int | float) and not isinstance(value, bool)


KINDS: Mapping[str, Callable[[object], bool]] = {
    "<any>": lambda _: True,
    "<text>": lambda value: isinstance(value, str),
    "<number>": is_number,
    "<time>": _is_time,
    "<list>": lambda value: isinstance(value, list),
    "<table>": lambda value: isinstance(value, dict),
}


def differences(expected: Any, actual: Any, where: str = "") -> Iterator[str]:
    """Yield one sentence for each way in which ``actual`` is not what was expected.

    Args:
        expected: a pattern as described above.
        actual: a JSON value.
        where: a path to the value, for the sentences.
    """
    if isinstance(expected, dict):
        yield from _table_differences(expected, actual, where)
    elif isinstance(expected, list):
        yield from _list_differences(expected, actual, where)
    elif not _fits(expected, actual):
        yield f"{where or 'it'} is {show(actual)}, not {show(expected)}"


def _table_differences(expected: Mapping[str, Any], actual: Any, where: str) -> Iterator[str]:
    if not isinstance(actual, dict):
        yield f"{where or 'it'} is {show(actual)}, not a table"
        return
    for key, value in expected.items():
        path = f"{where}.{key}" if where else key
        if value == "<absent>":
            if key in actual:
                yield f"{path} is {show(actual[key])}, and should not be there"
        elif key not in actual:
            yield f"{path} is missing"
        else:
            yield from differences(value, actual[key], path)


def _list_differences(expected: Sequence[Any], actual: Any, where: str) -> Iterator[str]:
    if not isinstance(actual, list) or len(actual) != len(expected):
        yield f"{where or 'it'} is {show(actual)}, not {show(expected)}"
        return
    for index, (want, have) in enumerate(zip(expected, actual, strict=True)):
        yield from differences(want, have, f"{where}[{index}]")


def _fits(expected: Any, actual: Any) -> bool:
    if isinstance(expected, str) and expected in KINDS:
        return KINDS[expected](actual)
    if isinstance(expected, str) and expected.startswith("~"):
        return isinstance(actual, str) and re.search(expected[1:], actual) is not None
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    return bool(expected == actual)


def show(value: Any, most: int = SHOWN) -> str:
    """Return a value as JSON short enough for a table: so many characters of it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}…"
