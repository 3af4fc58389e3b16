"""Whether defaults fit the types they are given for.

A document whose defaults contradict its types is refused when an image is built, so it is refused here, where
the line is known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cog_nix.signature.document import compact, number
from cog_nix.signature.openapi import input_schema
from cog_nix.signature.refusal import RefusalError

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
    if "default" not in schema:
        return
    value = schema["default"]
    reason = _against_choices(choices, value) if choices else _mismatch(schema, value)
    if reason:
        component = "Input" if mode == "predict" else "TrainingInput"
        raise RefusalError(
            f'Model schema is invalid: invalid components: schema "{component}": invalid default: {reason}',
            f"Give {given.name} a default that fits its type and limits.",
        )


def _against_choices(choices: Json, value: Any) -> str | None:
    if value is None:  # only nullable inputs have this default
        return None
    reason = None
    if not any(_same(choice, value) for choice in choices["enum"]):
        reason = "value is not one of the allowed values"
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
        yield from _outside("minLength", "maxLength", schema, len(value), "{} string length is {}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _outside("minimum", "maximum", schema, value, "number must be at {} {}")


def _outside(least: str, most: str, schema: Json, value: float, sentence: str) -> Iterator[str]:
    words = ("minimum", "maximum") if sentence.startswith("{}") else ("least", "most")
    if least in schema and float(value) < schema[least]:
        yield sentence.format(words[0], number(schema[least]))
    if most in schema and float(value) > schema[most]:
        yield sentence.format(words[1], number(schema[most]))
