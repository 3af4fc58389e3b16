"""JSON that somebody else wrote: a value or a ValueError, and each part checked as it is taken.

:func:`json.loads` has two more answers: RecursionError for what is nested too deep, and texts with half a
surrogate pair, which later cannot be written, hashed or shown.
"""

from __future__ import annotations

import json
import re
from typing import Any

_LARGEST = 1 << 63
"""No file is of this size (``off_t``)."""
_SHOWN = 60
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text (RFC 8259).

    Raises:
        ValueError: it is none, is nested too deep, or holds what is no Unicode (section 8.2).
    """
    text = text.decode() if isinstance(text, bytes) else text
    try:
        value = json.loads(text)
        if _ESCAPED_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a surrogate pair") from error
    return value


def text_of(value: object) -> str:
    """Return a text.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{_shown(value)} is not text")
    return value


def size_of(value: object) -> int:
    """Return a number of bytes.

    Raises:
        ValueError: it is no whole number, negative, or larger than any file.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LARGEST:
        raise ValueError(f"size {_shown(value)} is not a number of bytes")
    return value


def mapping_of(value: object) -> dict[str, Any]:
    """Return an object's members.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, dict):
        raise TypeError(f"{_shown(value)} is not an object")
    return value


def list_of(value: object) -> list[Any]:
    """Return an array's items.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, list):
        raise TypeError(f"{_shown(value)} is not a list")
    return value


def members(value: object) -> dict[str, Any]:
    """Return an object's members; what is no object has none."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return an array's items; what is no array has none."""
    return value if isinstance(value, list) else []


def objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in an array; whatever else stands in it, or in its place, says nothing."""
    return [one for one in items(value) if isinstance(one, dict)]


def texts(value: object) -> list[str]:
    """Return the texts in an array, as :func:`objects` its objects."""
    return [one for one in items(value) if isinstance(one, str)]


def _shown(value: object) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
