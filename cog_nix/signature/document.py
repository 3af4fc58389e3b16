"""JSON text, to the byte as Go's ``encoding/json`` writes it.

Cog's documents end up in image labels and are compared by hash, so escapes and numbers must be the same.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from cog_nix.signature.openapi import Ordered
from cog_nix.signature.refusal import RefusalError
from cog_nix.signature.syntax import STRAY_BYTE

_ESCAPED = re.compile('[\\x00-\\x1f"\\\\<>&\u2028\u2029\ufdd0]')
_SHORT = {
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    '"': '\\"',
    "\\": "\\\\",
    STRAY_BYTE: "\\ufffd",
}
_SMALLEST_PLAIN, _SMALLEST_EXPONENT = 1e-6, 1e21


def compact(value: Any) -> str:
    """Return JSON without blanks; keys are sorted, except in :class:`~cog_nix.signature.openapi.Ordered`."""
    if isinstance(value, dict):
        keys = value if isinstance(value, Ordered) else sorted(value)
        return "{" + ",".join(f"{text(key)}:{compact(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return _scalar(value)


def indented(value: Any, indent: str = "\n") -> str:
    """Return JSON indented by two blanks, every key sorted and every number a float.

    That is what a document looks like after Go has read it without a schema and written it again.
    """
    inner = indent + "  "
    if isinstance(value, dict) and value:
        members = (f"{text(key)}: {indented(value[key], inner)}" for key in sorted(value))
        return "{" + inner + f",{inner}".join(members) + indent + "}"
    if isinstance(value, list) and value:
        return "[" + inner + f",{inner}".join(indented(item, inner) for item in value) + indent + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        return number(float(value))
    return compact(value.replace(STRAY_BYTE, "\ufffd") if isinstance(value, str) else value)


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return text(value)
        case _:
            return number(value)


def text(value: str) -> str:
    """Return a JSON string; ``<``, ``>``, ``&`` and the two Unicode line ends are escaped."""
    return '"' + _ESCAPED.sub(lambda found: _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}", value) + '"'


def number(value: float) -> str:
    """Return a JSON number in the fewest digits.

    Raises:
        RefusalError: it is infinite or not a number, which JSON cannot say.
    """
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        name = "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
        raise RefusalError(
            f"json: unsupported value: {name}", "Leave the limit or default away, or write a number."
        )
    magnitude = abs(value)
    if magnitude and (magnitude < _SMALLEST_PLAIN or magnitude >= _SMALLEST_EXPONENT):
        digits, _, exponent = repr(value).partition("e")
        return f"{digits}e{exponent[0]}{exponent[1:].lstrip('0')}"
    return f"{Decimal(repr(value)):f}".removesuffix(".0")
