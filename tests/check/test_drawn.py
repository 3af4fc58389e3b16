"""Inputs drawn by chance."""

from __future__ import annotations

from typing import Any

import pytest

from cog_nix.check.drawn import NotDrawableError, draw
from cog_nix.runtime.schema import ApiSchema
from cog_nix.runtime.validation import check_inputs

from .models import document

ALL: dict[str, Any] = {
    "text": {"type": "string", "minLength": 3, "maxLength": 8},
    "whole": {"type": "integer", "minimum": 1, "maximum": 4},
    "free": {"type": "integer", "default": 5000},
    "real": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1},
    "step": {"type": "integer", "multipleOf": 8, "minimum": 0, "maximum": 64},
    "yes": {"type": "boolean"},
    "choice": {"allOf": [{"$ref": "#/components/schemas/choice"}]},
    "list": {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}, "minItems": 1, "maxItems": 3},
    "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "maybe": {"type": "string", "nullable": True},
    "table": {"type": "object"},
}
COMPONENT = ApiSchema(
    document(ALL, ("text", "whole", "step"), choice={"type": "string", "enum": ["a", "b"]})
).input_component()


@pytest.mark.parametrize("seed", range(20))
def test_what_is_drawn_is_accepted(seed: int) -> None:
    for one in draw(COMPONENT, 20, seed, {}):
        check_inputs(one, COMPONENT)


def test_every_input_is_drawn_and_left_out() -> None:
    found = list(draw(COMPONENT, 100, 0, {}))
    for name in ALL:
        given = sum(name in one for one in found)
        assert given == 100 if name in COMPONENT["required"] else 20 < given < 80
    assert {one["whole"] for one in found} == {1, 2, 3, 4}
    assert {one.get("yes") for one in found} == {True, False, None}


def test_a_seed_draws_the_same_again() -> None:
    assert list(draw(COMPONENT, 9, 7, {})) == list(draw(COMPONENT, 9, 7, {}))
    assert list(draw(COMPONENT, 9, 7, {})) != list(draw(COMPONENT, 9, 8, {}))


@pytest.mark.parametrize(
    "schema",
    [{"type": "string", "format": "uri"}, {"type": "string", "pattern": "^x"}],
    ids=["file", "pattern"],
)
def test_what_cannot_be_drawn_is_taken_from_what_is_known(schema: dict[str, Any]) -> None:
    component = ApiSchema(document({"it": schema}, ("it",))).input_component()
    assert {one["it"] for one in draw(component, 20, 0, {"it": ["x1", "x2"]})} == {"x1", "x2"}
    with pytest.raises(NotDrawableError, match=r"needs -i it=…"):
        list(draw(component, 1, 0, {}))
    optional = ApiSchema(document({"it": schema})).input_component()
    assert list(draw(optional, 5, 0, {})) == [{}] * 5
