"""Inputs drawn by chance from a model's schema; the same seed draws the same ones.

Bounds are drawn more often than what is between them. An input that may be left out is, half of the time.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from cog_nix.check.inputs import merged, of_length
from cog_nix.runtime.validation import satisfies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cog_nix.runtime.schema import Schema

_WORDS = (
    "hello",
    "a",
    "Ada Lovelace",
    "0",
    "naïve café",
    "日本語",
    "two\nlines",
    '"quoted" & <tagged>',
    "  spaced  ",
)
_SPAN = 100
"""How far a number without a bound is drawn from where it may begin."""
_LONGEST = 5
"""Items of a list without a bound."""
_TRIES = 20


class NotDrawableError(Exception):
    """No value of an input can be made up.

    Args:
        name: of the input.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"needs -i {self.name}=… or a [[check]] that has it"


class _ImpossibleError(Exception):
    """A schema that nothing can be drawn from."""


def draw(
    component: Schema, count: int, seed: int, known: Mapping[str, Sequence[Any]]
) -> Iterator[dict[str, Any]]:
    """Yield inputs that fit a schema.

    Args:
        component: of all inputs, without references.
        count: how many.
        seed: of the chance.
        known: values that are right, by input; they are drawn for what cannot be made up, such as files.

    Raises:
        NotDrawableError: a required input cannot be made up, and no value is known.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing is to be secret
    for _ in range(count):
        yield _one(component, chance, known)


def _one(component: Schema, chance: random.Random, known: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    values = {}
    for name, schema in sorted(component.get("properties", {}).items()):
        required = name in component.get("required", ())
        if not required and chance.random() < 0.5:
            continue
        if name in known and (schema.get("format") == "uri" or chance.random() < 0.5):
            values[name] = chance.choice(known[name])
            continue
        try:
            values[name] = _fitting(schema, chance)
        except _ImpossibleError:
            if name in known:
                values[name] = chance.choice(known[name])
            elif required:
                raise NotDrawableError(name) from None
    return values


def _fitting(schema: Schema, chance: random.Random) -> Any:
    """Return a value that fits a schema, whatever its parts say together."""
    for _ in range(_TRIES):
        value = _value(schema, chance)
        if satisfies(value, schema):
            return value
    raise _ImpossibleError


def _value(schema: Schema, chance: random.Random) -> Any:
    members = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if members and not schema.get("enum"):
        return _value(chance.choice(members), chance)
    schema = merged(schema)
    if schema.get("enum"):
        return chance.choice(schema["enum"])
    if schema.get("format") == "uri" or "pattern" in schema:
        raise _ImpossibleError
    return _KINDS.get(str(schema.get("type")), _text)(schema, chance)


def _integer(schema: Schema, chance: random.Random) -> Any:
    least, most = _range(schema)
    low, high = math.ceil(least), math.floor(most)
    return _number(low, high, chance.randint(low, max(low, high)), chance)


def _real(schema: Schema, chance: random.Random) -> Any:
    least, most = _range(schema)
    return _number(least, most, chance.uniform(least, most), chance)


def _list(schema: Schema, chance: random.Random) -> Any:
    least = schema.get("minItems", 0)
    count = chance.randint(least, schema.get("maxItems", max(least, _LONGEST)))
    return [_value(schema.get("items", {"type": "string"}), chance) for _ in range(count)]


def _range(schema: Schema) -> tuple[float, float]:
    least, most = (_bound(schema, name) for name in ("minimum", "maximum"))
    if least is None and most is None:
        middle = schema.get("default")
        middle = middle if isinstance(middle, int | float) else 0
        return middle - _SPAN, middle + _SPAN
    if least is None:
        least = most - _SPAN  # type: ignore[operator] # one of them is there
    return least, most if most is not None else least + _SPAN


def _bound(schema: Schema, name: str) -> float | None:
    exclusive = schema.get(f"exclusive{name.capitalize()}")
    if isinstance(exclusive, bool) or exclusive is None:
        value: float | None = schema.get(name)
        return value
    return float(exclusive)


def _number(least: float, most: float, between: float, chance: random.Random) -> float:
    return chance.choice((least, most, between, between))


def _text(schema: Schema, chance: random.Random) -> str:
    return of_length(chance.choice(_WORDS), schema)


_KINDS: dict[str, Callable[[Schema, random.Random], Any]] = {
    "integer": _integer,
    "number": _real,
    "boolean": lambda _, chance: chance.random() < 0.5,
    "array": _list,
    "object": lambda _, __: {},
}
"""How a value of a type is drawn; of any other it is text."""
