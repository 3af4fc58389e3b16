"""Checks inputs against the model's schema before anything starts, and says what is wrong in Cog's words.

The model server checks again with strict JSON Schema, which does not know OpenAPI's ``nullable``; so does
this.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jsonschema import ValidationError

    from cog_nix.runtime.schema import Schema

_NULL = "must not be null (omit the input to use its default)"
_COUNTS = {
    "minLength": "minimum string length is {}",
    "maxLength": "maximum string length is {}",
    "minItems": "minimum number of items is {}",
    "maxItems": "maximum number of items is {}",
    "minProperties": "there must be at least {} properties",
    "maxProperties": "there must be at most {} properties",
}
_BOUNDS = {
    "minimum": "number must be at least {}",
    "maximum": "number must be at most {}",
    "exclusiveMinimum": "number must be more than {}",
    "exclusiveMaximum": "number must be less than {}",
    "multipleOf": "number must be a multiple of {}",
}


def check_names(names: Iterable[str], component: Schema) -> None:
    """Refuse inputs that the model does not have.

    Raises:
        RuntimeFailure: there are some.
    """
    properties = component.get("properties", {})
    unknown = sorted(name for name in names if name not in properties)
    if not unknown:
        return
    known = (
        f"valid inputs are: {', '.join(sorted(properties))}" if properties else "model does not accept inputs"
    )
    subject = "unknown input" if len(unknown) == 1 else "unknown inputs"
    raise RuntimeFailure(f"{subject} {', '.join(map(quote, unknown))}; {known}")


def check_inputs(inputs: Mapping[str, Any], component: Schema) -> None:
    """Refuse inputs that the model would refuse: all problems together.

    Raises:
        RuntimeFailure: there are some.
    """
    check_names(inputs, component)
    errors = list(_validator(component).iter_errors(dict(inputs)))
    problems = _problems(errors)
    null = next((text for text in problems if text.endswith(_NULL)), None)
    if null:
        raise RuntimeFailure(null)
    if len(problems) == 1:
        raise RuntimeFailure(problems[0])
    if problems:
        raise RuntimeFailure("input validation failed:\n- " + "\n- ".join(problems))


def satisfies(value: Any, schema: Schema) -> bool:
    """Whether one value fits one schema."""
    return bool(_validator(schema).is_valid(value))


def quote(name: str) -> str:
    """Return a name in double quotes, escaped where it must be."""
    return json.dumps(name, ensure_ascii=False)


def number_text(value: float) -> str:
    """Return a number as Go's ``%g`` writes it: as few digits as keep it, an exponent from a million on."""
    plain = value == 0 or 1e-4 <= abs(value) < 1e6  # noqa: PLR2004 - the two bounds of %g
    if plain:
        return repr(int(value)) if value == int(value) else repr(value)
    digits = next(count for count in range(17) if float(f"{value:.{count}e}") == value)
    return f"{value:.{digits}e}"


def _validator(schema: Schema) -> Any:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - costs 0.1 s, only for checks

    return Draft202012Validator(schema)


def _problems(errors: list[ValidationError]) -> list[str]:
    """Return a sentence for each input, values first in the order of their names, then missing inputs."""
    by_path: dict[tuple[str, ...], list[ValidationError]] = {}
    missing: list[str] = []
    for error in errors:
        path = tuple(str(part) for part in error.absolute_path)
        if error.validator == "required":
            required: Any = error.validator_value
            given: Any = error.instance
            missing += [_dotted((*path, name)) for name in required if name not in given]
        else:
            by_path.setdefault(path, []).append(error)
    values = [sentence for path in sorted(by_path) for sentence in _sentences(path, by_path[path])]
    return values + [f"missing required input {quote(name)}" for name in dict.fromkeys(missing)]


def _sentences(path: tuple[str, ...], errors: list[ValidationError]) -> list[str]:
    """A value outside its choices is told the choices only, not also its type."""
    choices = [error for error in errors if error.validator == "enum" and error.instance is not None]
    prefix = f"invalid input {quote(_dotted(path))}: " if path else ""
    return [prefix + reason for reason in dict.fromkeys(_reason(error) for error in choices or errors)]


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path)


def _reason(error: ValidationError) -> str:
    if error.instance is None:
        return _NULL
    rule = str(error.validator)
    bound: Any = error.validator_value
    wording: dict[str, Callable[[], str]] = {
        "enum": lambda: f"must be one of: {', '.join(map(_plain, bound))}",
        "type": lambda: f"expected {_either(bound)}, got {type_name(error.instance)}",
        "pattern": lambda: f'string doesn\'t match the regular expression "{bound}"',
        "uniqueItems": lambda: "duplicate items found",
        "anyOf": lambda: 'doesn\'t match any schema from "anyOf"',
        "oneOf": lambda: 'value doesn\'t match any schema from "oneOf"',
        **{name: lambda: _COUNTS[rule].format(bound) for name in _COUNTS},
        **{name: lambda: _BOUNDS[rule].format(number_text(bound)) for name in _BOUNDS},
    }
    return wording.get(rule, lambda: str(error.message))()


def _either(types: str | list[str]) -> str:
    if isinstance(types, str):
        return types
    return ", ".join(types[:-1]) + " or " + types[-1] if len(types) > 1 else types[0]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def type_name(value: Any) -> str:
    """Return what JSON calls the type of a value."""
    names = ((bool, "boolean"), (int | float, "number"), (str, "string"), (list, "array"), (dict, "object"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")
