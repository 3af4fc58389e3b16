"""How names and values stand in messages: as Go's ``fmt`` writes them, since scripts match on messages."""

from __future__ import annotations

from typing import Any

_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}
_LAST_ASCII = 0x7F
_LAST_OF_FOUR_DIGITS = 0xFFFF
_EXPONENT_FROM = 21


def quote(text: str) -> str:
    """Return a text in double quotes with everything escaped that does not print (``%q``)."""
    return '"' + "".join(map(_escaped, text)) + '"'


def plain(value: Any) -> str:
    """Return a JSON value without quotes (``%v``)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    if isinstance(value, list):
        return f"[{' '.join(map(plain, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{plain(value[key])}' for key in sorted(value))}]"
    return number_text(value, _EXPONENT_FROM) if isinstance(value, int | float) else str(value)


def number_text(value: float, exponent_from: int = 6) -> str:
    """Return a number with as few digits as keep it (``%g``).

    Args:
        value: a finite number.
        exponent_from: the power of ten that is written with an exponent, and all above it.
    """
    if value == 0 or 1e-4 <= abs(value) < 10.0**exponent_from:  # noqa: PLR2004 - the lower bound of %g
        return repr(int(value)) if value == int(value) else repr(value)
    digits = next(count for count in range(18) if float(f"{value:.{count}e}") == float(value))
    return f"{value:.{digits}e}"


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    if character.isprintable():
        return character
    if code <= _LAST_ASCII:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _LAST_OF_FOUR_DIGITS else f"\\U{code:08x}"
