"""What a scalar of a cog.yaml means, as the YAML library that upstream reads it with takes it.

That is YAML 1.2's core schema (YAML 1.2.2 §10.3.2) with what go-yaml adds: dates, ``_`` between digits,
``017`` as octal, and YAML 1.1's ``yes`` and ``no`` where true or false is wanted (go-yaml v4, ``resolver.go``
and ``constructor.go``).
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
from typing import TYPE_CHECKING

import yaml

from cog_nix.system.golang import printed

if TYPE_CHECKING:
    from collections.abc import Callable

Value = None | bool | int | float | str | dt.datetime

PLAIN = "plain"
"""Tag of a scalar without quotes and without a tag of its own."""

_PREFIX = "tag:yaml.org,2002:"
STRING = f"{_PREFIX}str"

_NAMED: dict[str, Value] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys(("-0", "-0.0"), -0.0),
}
NULLS = frozenset(text for text, value in _NAMED.items() if value is None)
"""What stands for no value, where it is neither quoted nor tagged."""

_NOT_FINITE = {"NaN": ".nan", "+Inf": ".inf", "-Inf": "-.inf"}

_YES = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_NO = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})

_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGERS = (
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+"), 16),
    (re.compile(r"[-+]?0[bB][01]+"), 2),
    (re.compile(r"[-+]?0[oO]?[0-7]+"), 8),
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), 10),
)
_LONGEST = 400
"""Digits beyond which no number is meant; Python refuses to read very long ones anyway."""
_LEAST, _MOST, _MOST_UNSIGNED = -(2**63), 2**63 - 1, 2**64 - 1
_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:([Tt ])(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,](\d{1,9})\d*)?(Z|[-+]\d\d:\d\d)?)?",
    re.ASCII,
)


class TagError(ValueError):
    """A scalar is not what its own tag (``!!int``) says."""


def tagged_loader(base: type) -> type:
    """Return a PyYAML loader that leaves plain scalars unresolved, so that tags can be told from guesses.

    Args:
        base: ``yaml.SafeLoader`` or ``yaml.CSafeLoader``.
    """

    def resolve(_self: object, kind: type, _value: object, implicit: tuple[bool, bool] | bool) -> str:  # noqa: FBT001 - PyYAML's signature
        if kind is yaml.ScalarNode:
            return PLAIN if isinstance(implicit, tuple) and implicit[0] else STRING
        return f"{_PREFIX}{'seq' if kind is yaml.SequenceNode else 'map'}"

    return type(f"Tagged{base.__name__}", (base,), {"resolve": resolve})


def resolve(node: yaml.ScalarNode) -> Value:
    """Return the value of a scalar where nothing says what is wanted.

    Args:
        node: from a :func:`tagged_loader`.

    Raises:
        TagError: its tag says that it is something that it is not.
    """
    text, tag = node.value, node.tag
    if tag == STRING:
        return str(text)
    if tag == PLAIN:
        return _guess(text)
    kind = tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else ""
    if kind == "binary":
        return _binary(text)
    wanted = _KINDS.get(kind)
    if wanted is None:
        return str(text)
    value = _guess(text, dates=kind == "timestamp")
    if kind == "float" and type(value) is int:
        return float(value)
    if not wanted(value):
        raise TagError(f'"{text}" is not a valid !!{kind}')
    return value


def boolean(value: Value) -> bool | None:
    """Return what a value is where true or false is wanted; None when it is neither."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in _YES | _NO:
        return value in _YES
    return None


def integer(value: Value) -> int | None:
    """Return what a value is where a whole number is wanted; None when it is none, or beyond 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    whole = int(value)
    return whole if whole == value and _LEAST <= whole <= _MOST else None


def written(value: Value) -> str:
    """Return a value as go-yaml writes it: upstream reads the parts of ``run:`` mappings back from that."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return printed(value) if math.isfinite(value) else _NOT_FINITE[printed(value)]
    if isinstance(value, dt.datetime):
        return _date(value)
    return "" if value is None else str(value)


def _guess(text: str, *, dates: bool = True) -> Value:
    if text in _NAMED:
        return _NAMED[text]
    if not text or text[0] not in "+-.0123456789" or len(text) > _LONGEST:
        return text
    moment = _moment(text) if dates else None
    if moment:
        return moment
    number = _number(text if text[0] == "." else text.replace("_", ""))
    return text if number is None else number


def _number(plain: str) -> int | float | None:
    for form, base in _INTEGERS:
        if form.fullmatch(plain):
            sign, digits = (-1 if plain[0] == "-" else 1), plain.lstrip("+-")
            value = sign * int(re.sub(r"^0[xXbBoO]", "", digits), base)
            if _LEAST <= value <= (_MOST if plain[0] in "+-" else _MOST_UNSIGNED):
                return value
    number = float(plain) if _FLOAT.fullmatch(plain) else math.inf
    return number if math.isfinite(number) else None


def _moment(text: str) -> dt.datetime | None:
    match = _DATE.fullmatch(text)
    if not match:
        return None
    year, month, day, mark, hour, minute, second, fraction, zone = match.groups()
    if mark and (mark in "Tt") != bool(zone):
        return None
    try:
        return dt.datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0").ljust(6, "0")[:6]),
            tzinfo=dt.UTC if zone in {None, "Z"} else dt.datetime.strptime(zone, "%z").tzinfo,
        )
    except ValueError:
        return None


def _date(value: dt.datetime) -> str:
    text = value.isoformat(timespec="microseconds")
    head, _, zone = text.partition("+") if "+" in text else (text[:-6], "", text[-6:])
    shown = head.rstrip("0").removesuffix(".") if "." in head else head
    return shown + ("Z" if zone == "00:00" else f"+{zone}" if "+" in text else zone)


def _binary(text: str) -> str:
    try:
        return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True).decode("utf-8", "replace")
    except ValueError as error:
        raise TagError("this is not base64") from error


def _is_number(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: dict[str, Callable[[Value], bool]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": _is_number,
    "float": lambda value: isinstance(value, float),
    "null": lambda value: value is None,
    "timestamp": lambda value: isinstance(value, dt.datetime),
}
