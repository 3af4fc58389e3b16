"""Whether defaults fit the types they are given for.

A document whose defaults contradict its types is refused when an image is built, so it is refused here, where
the line is known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cog_nix.signature.document import compact
from cog_nix.signature.openapi import input_schema
from cog_nix.signature.patterns import PatternError, compiled
from cog_nix.signature.refusal import RefusalError
from cog_nix.signature.syntax import STRAY_BYTE
from cog_nix.system.golang import printed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.signature.model import Input, Mode, Signature
    from cog_nix.signature.openapi import Json
    from cog_nix.signature.syntax import Source

_ARTICLES = {"integer": "an", "object": "an", "array": "an"}
_COMPONENT = re.compile(r"[a-zA-Z0-9._-]+")


def check_defaults(source: Source, signature: Signature) -> None:
    """Refuse inputs whose default or name the finished document cannot carry.

    Args:
        source: where the inputs are written.
        signature: the entry point.

    Raises:
        RefusalError: the default has another type than the input, is outside its limits or no JSON; or the
            input has choices and a name that is not plain ASCII.
    """
    for given in sorted(signature.inputs, key=lambda given: given.name):
        try:
            _check(given, signature.mode)
        except RefusalError as refusal:
            refusal.at(source.path, given.line, source.line(given.line).strip())
            raise


def _check(given: Input, mode: Mode) -> None:
    if given.constraints.choices and not _COMPONENT.fullmatch(given.name):
        raise RefusalError(
            f'Model schema is invalid: invalid components: schema "{given.name}": identifier "{given.name}" '
            "is not supported by OpenAPIv3 standard",
            "An input with choices needs a name of plain letters, digits and underscores.",
        )
    schema, choices = input_schema(given)
    compact([schema, choices])
    if schema.get("type") == "string":
        _check_pattern(schema, mode)
    if "default" not in schema:
        return
    value = schema["default"]
    reason = _against_choices(choices, value) if choices else _mismatch(schema, value)
    if choices and value is not None and not reason:
        reason = next(_broken_limits(schema, value), None)
    if reason:
        raise RefusalError(
            f"{_invalid(mode)}: invalid default: {reason}",
            f"Give {given.name} a default that fits its type and limits.",
        )


def _invalid(mode: Mode) -> str:
    component = "Input" if mode == "predict" else "TrainingInput"
    return f'Model schema is invalid: invalid components: schema "{component}"'


def _check_pattern(schema: Json, mode: Mode) -> None:
    if "pattern" not in schema:
        return
    try:
        compiled(schema["pattern"])
    except PatternError as error:
        raise RefusalError(
            f"{_invalid(mode)}: {error}",
            "Write the regex without look-around, back-references and what else RE2 lacks, or check the "
            "value in the function.",
        ) from None


def _against_choices(choices: Json, value: Any) -> str | None:
    if value is None:  # only nullable inputs have this default
        return None
    reason = None
    if not any(_same(choice, value) for choice in choices["enum"]):
        reason = f"value is not one of the allowed values {compact(choices['enum'])}"
    reason = reason or _mismatch({"type": choices["type"]}, value)
    return f"doesn't match schema due to: {reason}" if reason else None


def _same(left: Any, right: Any) -> bool:
    """Compare as JSON does: 1 is 1.0, but not true."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _mismatch(schema: Json, value: Any) -> str | None:
    if value is None:
        return None if schema.get("nullable") else "Value is not nullable"
    if "anyOf" in schema:
        matches = any(_mismatch(variant, value) is None for variant in schema["anyOf"])
        return None if matches else 'doesn\'t match any schema from "anyOf"'
    kind = schema["type"]
    if not _has_type(kind, value):
        return f"value must be {_ARTICLES.get(kind, 'a')} {kind}"
    return next(_broken_limits(schema, value), None)


def _has_type(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int | float):
        return kind == "number" or (kind == "integer" and float(value).is_integer())
    return isinstance(value, {"string": str, "array": list, "object": dict}.get(kind, ()))


def _broken_limits(schema: Json, value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            reason = _mismatch(schema["items"], item)
            if reason:
                yield f'Error at "/{index}": {reason}'
    elif isinstance(value, str):
        yield from _too_long(schema, len(value))
        pattern = schema.get("pattern", "")
        if pattern and not _is_found(pattern, value):
            yield f'string doesn\'t match the regular expression "{pattern}"'
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _outside(schema, value)


def _too_long(schema: Json, length: int) -> Iterator[str]:
    if length < _signed(schema.get("minLength", 0)):
        yield f"minimum string length is {schema['minLength']}"
    if "maxLength" in schema and length > _signed(schema["maxLength"]):
        yield f"maximum string length is {schema['maxLength']}"


def _signed(length: int) -> int:
    """Return a length as it is compared: 64 bits with a sign, so that one of -1 is that again."""
    return length - 2**64 if length >= 2**63 else length


def _is_found(pattern: str, value: str) -> bool:
    try:
        expression = compiled(pattern)
    except PatternError:
        return False
    return expression is None or bool(expression.search(value.replace(STRAY_BYTE, "\ufffd")))


def _outside(schema: Json, value: float) -> Iterator[str]:
    if "minimum" in schema and float(value) < schema["minimum"]:
        yield f"number must be at least {printed(float(schema['minimum']))}"
    if "maximum" in schema and float(value) > schema["maximum"]:
        yield f"number must be at most {printed(float(schema['maximum']))}"
