"""From the text of ``-i name=value`` to the value that the schema wants.

A shell knows only strings. What a string becomes follows the input's schema alone; a string that does not fit
stays a string, so that the check afterwards can say what is wrong with it.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.jsontext import parse_json, whole
from cog_nix.runtime.schema import accepts, item_schema, main_type
from cog_nix.runtime.validation import satisfies
from cog_nix.runtime.wording import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.runtime.schema import Schema

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DIGITS = "[0-9]+(?:_[0-9]+)*"
_NUMBER = re.compile(rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_LONGEST = 308
"""Characters of a number: an integer of so many digits is still within the range of a float."""

_INT32 = 2**31
_FLOAT32 = 2**128 - 2**103
"""From here on a number does not round to a 32 bit float."""


def coerce(name: str, text: str, schema: Schema | None) -> Any:
    """Return the value of an input that was given once.

    Raises:
        RuntimeFailure: the input is an object and the text is not JSON.
    """
    kind = main_type(schema) if schema else None
    if schema is None or kind is None:
        return coerce_scalar(text, schema)
    if kind == "object":
        return _coerce_object(name, text, schema)
    if kind == "array":
        return _coerce_array(text, schema)
    return coerce_scalar(text, schema)


def coerce_items(texts: list[str], schema: Schema | None) -> list[Any]:
    """Return the value of an input that was given several times: a list."""
    items = item_schema(schema)
    return [coerce_scalar(text, items) for text in texts]


def coerce_scalar(text: str, schema: Schema | None) -> Any:
    """Return a boolean, integer or float where the schema takes one and it is one, otherwise the text."""
    if not schema:
        return text
    for candidate in _candidates(text, schema):
        # `choices` of strings like "1": a number is right only when the schema really takes it.
        if not accepts(schema, "string") or satisfies(candidate, schema):
            return candidate
    return text


def _candidates(text: str, schema: Schema) -> Iterator[bool | int | float]:
    if text in ("true", "false") and accepts(schema, "boolean"):
        yield text == "true"
    if len(text) > _LONGEST:
        return
    # Upstream reads 32 bit integers and floats. A larger number is one here too, unless it can be text.
    narrow = accepts(schema, "string")
    if _INTEGER.fullmatch(text) and accepts(schema, "integer", "number"):
        number = int(text)
        if not narrow or -_INT32 <= number < _INT32:
            yield number
    if _NUMBER.fullmatch(text) and accepts(schema, "number"):
        value = float(text)
        if abs(value) < (_FLOAT32 if narrow else math.inf):
            yield whole(value)


def _coerce_object(name: str, text: str, schema: Schema) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        if accepts(schema, "string"):
            return text
        raise RuntimeFailure(
            f"invalid input {quote(name)}: expected a JSON object: {error}",
            hint=f"Quote the JSON for your shell, for example: -i {name}='{{\"key\": 1}}'",
        ) from error


def _coerce_array(text: str, schema: Schema) -> Any:
    try:
        parsed = parse_json(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, list):
        return parsed
    takes_string = accepts(schema, "string")
    if takes_string and satisfies(text, schema):
        return text
    single = [coerce_scalar(text, item_schema(schema))]
    return text if takes_string and not satisfies(single, schema) else single
