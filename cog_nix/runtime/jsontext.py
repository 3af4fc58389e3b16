"""JSON as Cog reads and writes it: RFC 8259 without Python's extensions."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

MAX_DEPTH = 120
"""The model's server (serde_json) refuses 128 levels, and a request adds some around its inputs."""

_EXPONENT_FROM = 1e21
"""Go writes a float with an exponent from here on, and so does Python."""
_SURROGATES = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str) -> Any:
    """Return the value of a JSON text.

    Unlike :func:`json.loads`: ``NaN``, infinities and numbers too large for a float are refused, half
    surrogate pairs become U+FFFD, and depth is bounded.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_integer)
        return _clean(value, MAX_DEPTH, replace=bool(_ESCAPED.search(text) or _SURROGATES.search(text)))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def without_surrogates(text: str) -> str:
    """Replace what is no Unicode character, such as the bytes of a name in another encoding, by U+FFFD."""
    return _SURROGATES.sub("\ufffd", text)


def whole(value: Any) -> Any:
    """Return a value whose whole floats are integers, as Cog sends and prints them: ``5.0`` is ``5``.

    Of the digits of a large one only those count that tell it from its neighbours. The negative zero stays.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXPONENT_FROM:
        return value if repr(value) == "-0.0" else int(Decimal(repr(value)))
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return value


def type_name(value: Any) -> str:
    """Return what JSON calls the type of a value."""
    names = ((bool, "boolean"), (int | float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def _clean(value: Any, depth: int, *, replace: bool) -> Any:
    if not depth:
        raise ValueError("it is nested too deeply")
    if isinstance(value, list):
        return [_clean(item, depth - 1, replace=replace) for item in value]
    if isinstance(value, dict):
        return {
            without_surrogates(key) if replace else key: _clean(item, depth - 1, replace=replace)
            for key, item in value.items()
        }
    return without_surrogates(value) if replace and isinstance(value, str) else value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _integer(text: str) -> int:
    _finite(text)
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large for a number")
    return value
