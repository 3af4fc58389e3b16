"""Checks inputs against the model's schema before anything starts, and says what is wrong in Cog's words.

OpenAPI 3.0's schemas (https://spec.openapis.org/oas/v3.0.3#schema-object) are a dialect that JSON Schema
validators do not speak: ``nullable``, bounds that ``exclusiveMinimum: true`` changes. And which problems are
reported, in which order, is what upstream's validator does: a value of the wrong type has no other problems,
one that fits no member of a union has that problem only.

The model's server checks with JSON Schema, which does not know ``nullable``: an optional input may be left
out, but not be null (:func:`first_null`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.jsontext import type_name
from cog_nix.runtime.schema import Schema, item_schema
from cog_nix.runtime.wording import number_text, plain, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_COMPOSITIONS = ("allOf", "anyOf", "oneOf")


class InvalidInputsError(RuntimeFailure):
    """Inputs do not fit the model's schema.

    Args:
        problems: all that is wrong with them.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        super().__init__()
        self.problems = tuple(problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        return "\n- ".join(["input validation failed:", *self.problems])


def check_names(names: Iterable[str], component: Schema) -> None:
    """Refuse inputs that the model does not have.

    Raises:
        InvalidInputsError: there are some.
    """
    properties = component.get("properties", {})
    unknown = sorted(name for name in names if name not in properties)
    if not unknown:
        return
    known = (
        f"valid inputs are: {', '.join(sorted(properties))}" if properties else "model does not accept inputs"
    )
    subject = "unknown input" if len(unknown) == 1 else "unknown inputs"
    raise InvalidInputsError([f"{subject} {', '.join(map(quote, unknown))}; {known}"])


def check_inputs(inputs: Mapping[str, Any], component: Schema) -> None:
    """Refuse inputs that the model would refuse: all problems together.

    Raises:
        InvalidInputsError: there are some.
    """
    check_names(inputs, component)
    null = first_null(dict(inputs), component)
    if null is not None:
        name = quote(".".join(null))
        raise InvalidInputsError(
            [f"invalid input {name}: must not be null (omit the input to use its default)"]
        )
    if found := problems(dict(inputs), component):
        raise InvalidInputsError(map(str, found))


def satisfies(value: Any, schema: Schema) -> bool:
    """Whether one value fits one schema."""
    return not problems(value, schema)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a value."""

    reason: str
    path: tuple[str, ...] = ()
    """From the outermost value to the one that is wrong."""
    choices: tuple[Any, ...] | None = None
    """What the value, or the first member of its ``allOf`` that it does not fit, allows."""
    missing: bool = False
    """Whether nothing stands at the path, and something must."""

    def below(self, key: str) -> Problem:
        """Return the same problem as seen from the value that holds this one at ``key``."""
        return replace(self, path=(key, *self.path))

    def __str__(self) -> str:
        name = quote(".".join(self.path))
        if self.missing:
            return f"missing required input {name}"
        if not self.path:
            return self.reason
        choices = self.choices and f"must be one of: {', '.join(map(plain, self.choices))}"
        return f"invalid input {name}: {choices or self.reason}"


def problems(value: Any, schema: Schema) -> list[Problem]:
    """Return what is wrong with a value, first the values by their names, then what is missing."""
    if value is None and _nullable(schema):
        return []
    found = _composed(value, schema)
    if found or (value is None and any(schema.get(kind) for kind in ("oneOf", "anyOf", "allOf"))):
        return found
    return _of_choices(value, schema) or _of_type(value, schema)


def _of_choices(value: Any, schema: Schema) -> list[Problem]:
    choices = schema.get("enum") or ()
    if not choices or any(_same(value, one) for one in choices):
        return []
    return [
        Problem(
            f"value is not one of the allowed values {json.dumps(choices, separators=(',', ':'))}",
            choices=tuple(choices),
        )
    ]


def _of_type(value: Any, schema: Schema) -> list[Problem]:
    name, types = type_name(value), _types(schema)
    if value is None:
        return [Problem("Value is not nullable")]
    if types and name not in types and not (name == "number" and "integer" in types):
        return [_mistyped(value, types)]
    rules: dict[str, Callable[[Any, Schema], Iterable[Problem]]] = {
        "number": _of_number,
        "string": _of_string,
        "array": _of_array,
        "object": _of_object,
    }
    return list(rules[name](value, schema)) if name in rules else []


def _mistyped(value: Any, types: list[str]) -> Problem:
    expected = ", ".join(types[:-1]) + " or " + types[-1] if len(types) > 1 else types[0]
    return Problem(f"expected {expected}, got {type_name(value)}")


def _nullable(schema: Schema) -> bool:
    return schema.get("nullable") is True or "null" in _types(schema)


def _composed(value: Any, schema: Schema) -> list[Problem]:
    if "not" in schema and not problems(value, schema["not"]):
        return [Problem('doesn\'t match schema "not"')]
    if schema.get("oneOf"):
        each = [problems(value, member) for member in schema["oneOf"]]
        fitting = [number for number, found in enumerate(each) if not found]
        if len(fitting) > 1:
            at = " ".join(map(str, fitting))
            return [
                Problem(
                    f'value matches more than one schema from "oneOf" (matches schemas at indices [{at}])'
                )
            ]
        if not fitting:
            return [Problem('value doesn\'t match any schema from "oneOf"', choices=each[0][0].choices)]
    if schema.get("anyOf") and all(problems(value, member) for member in schema["anyOf"]):
        return [Problem('doesn\'t match any schema from "anyOf"')]
    each = [found for member in schema.get("allOf", ()) if (found := problems(value, member))]
    if each:
        return [Problem('doesn\'t match all schemas from "allOf"', choices=each[0][0].choices)]
    return []


def _types(schema: Schema) -> list[str]:
    types = schema.get("type") or []
    return [types] if isinstance(types, str) else types


def _of_number(value: float, schema: Schema) -> Iterable[Problem]:
    types = _types(schema)
    if types and "number" not in types and not float(value).is_integer():
        yield _mistyped(value, types)
    least, most = schema.get("minimum"), schema.get("maximum")
    # OpenAPI 3.0 has a switch that changes `minimum`, 3.1 has a bound of its own.
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    above, below = least if above is True else above, most if below is True else below
    if isinstance(above, int | float) and above is not False and not value > above:
        yield Problem(f"number must be more than {number_text(above)}")
    if isinstance(below, int | float) and below is not False and not value < below:
        yield Problem(f"number must be less than {number_text(below)}")
    if least is not None and value < least:
        yield Problem(f"number must be at least {number_text(least)}")
    if most is not None and value > most:
        yield Problem(f"number must be at most {number_text(most)}")
    step = schema.get("multipleOf") or 0
    exact = Fraction(f"{step:.10f}")
    if exact and Fraction(f"{value:.10f}") % exact:
        yield Problem(f"number must be a multiple of {number_text(step)}")


def _of_string(value: str, schema: Schema) -> Iterable[Problem]:
    if len(value) < schema.get("minLength", 0):
        yield Problem(f"minimum string length is {schema['minLength']}")
    if len(value) > schema.get("maxLength", len(value)):
        yield Problem(f"maximum string length is {schema['maxLength']}")
    pattern = schema.get("pattern")
    compiled = _compiled(pattern) if pattern else None
    if compiled and not compiled.search(value):
        yield Problem(f'string doesn\'t match the regular expression "{pattern}"')


def _of_array(value: list[Any], schema: Schema) -> Iterable[Problem]:
    if len(value) < schema.get("minItems", 0):
        yield Problem(f"minimum number of items is {schema['minItems']}")
    if len(value) > schema.get("maxItems", len(value)):
        yield Problem(f"maximum number of items is {schema['maxItems']}")
    if schema.get("uniqueItems") and len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
        yield Problem("duplicate items found")
    if isinstance(schema.get("items"), dict):
        for number, item in enumerate(value):
            yield from (problem.below(str(number)) for problem in problems(item, schema["items"]))


def _of_object(value: dict[str, Any], schema: Schema) -> Iterable[Problem]:
    if len(value) < schema.get("minProperties", 0):
        yield Problem(f"there must be at least {schema['minProperties']} properties")
    if len(value) > schema.get("maxProperties", len(value)):
        yield Problem(f"there must be at most {schema['maxProperties']} properties")
    declared, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key in sorted(value):
        if key not in declared and others is False:
            yield Problem(f"property {quote(key)} is unsupported")
        member = declared.get(key, others)
        if isinstance(member, dict):
            yield from (problem.below(key) for problem in problems(value[key], member))
    for key in schema.get("required", ()):
        if key not in value:
            yield Problem("", (key,), missing=True)


def _same(one: Any, other: Any) -> bool:
    return type_name(one) == type_name(other) and bool(one == other)


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    r"""Return a pattern with the meaning it has for upstream (Go's RE2): ``\w`` is ASCII, ``$`` the very end.

    None: this is none of Python's, and the model's server judges it.
    """
    end = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(\$)", re.DOTALL)
    exact = pattern if "(?m" in pattern else end.sub(lambda at: r"\Z" if at[1] else at[0], pattern)
    try:
        return re.compile(exact, re.ASCII)
    except (re.error, ValueError, RecursionError, OverflowError):
        return None


def first_null(value: Any, schema: Schema | None, path: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    """Return the path of the first null, by name, that is not allowed where it stands, or None."""
    if value is None:
        return None if allows_null(schema) else path
    if not schema:
        return None
    for key, item, child in _children(value, schema):
        found = first_null(item, child, (*path, key)) if child is not None else None
        if found is not None:
            return found
    return None


def allows_null(schema: Schema | None) -> bool:
    """Whether null fits a schema when ``nullable`` does not count."""
    if not schema:
        return True
    types = schema.get("type")
    return all(
        (
            types is None or "null" in ([types] if isinstance(types, str) else types),
            not schema.get("enum") or None in schema["enum"],
            all(map(allows_null, schema.get("allOf", ()))),
            not schema.get("anyOf") or any(map(allows_null, schema["anyOf"])),
            not schema.get("oneOf") or sum(map(allows_null, schema["oneOf"])) == 1,
            "not" not in schema or not allows_null(schema["not"]),
            "const" not in schema,
        )
    )


def _children(value: Any, schema: Schema) -> list[tuple[str, Any, Schema | None]]:
    if isinstance(value, list):
        items = item_schema(schema)
        return [(str(number), item, items) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return []
    # An empty schema is one too: only None means that nothing is said about the name.
    declared = ((key, value[key], _property(schema, key)) for key in sorted(value))
    return [(key, item, child if child is not None else _additional(schema)) for key, item, child in declared]


def _property(schema: Schema, key: str) -> Schema | None:
    """Return what a schema, with what it is composed of, says about a property."""
    own = schema.get("properties", {}).get(key)
    constraints = [own] if own is not None else []
    constraints += [
        {kind: [_property(member, key) or {} for member in schema[kind]]}
        for kind in _COMPOSITIONS
        if schema.get(kind)
    ]
    if len(constraints) < 2:  # noqa: PLR2004 - wrapped without need, a schema would grow with each level
        return constraints[0] if constraints else None
    return {"allOf": constraints}


def _additional(schema: Schema) -> Schema | None:
    own = schema.get("additionalProperties")
    if isinstance(own, dict):
        return own
    kind = next((kind for kind in _COMPOSITIONS if schema.get(kind)), None)
    return {kind: [_additional(member) or {} for member in schema[kind]]} if kind else None
