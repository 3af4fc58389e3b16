"""What a change of a model's interface means for its clients."""

from __future__ import annotations

from typing import Any

import pytest

from cog_nix.check.interface import Effect, compare
from cog_nix.runtime.schema import ApiSchema

from .models import document

TEXT = {"type": "string"}
FILE = {"type": "string", "format": "uri"}
WHOLE = {"type": "integer"}
REAL = {"type": "number"}
AB = {"type": "string", "enum": ["a", "b"]}
ABC = {"type": "string", "enum": ["a", "b", "c"]}


def said(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [f"{one.effect} {one.part}: {one.detail}" for one in compare(ApiSchema(old), ApiSchema(new))]


def of_input(old: dict[str, Any], new: dict[str, Any]) -> tuple[Effect, str]:
    found = compare(ApiSchema(document({"it": old})), ApiSchema(document({"it": new})))
    return found[0].effect, found[0].detail


def of_output(old: dict[str, Any], new: dict[str, Any]) -> tuple[Effect, str]:
    found = compare(ApiSchema(document({}, output=old)), ApiSchema(document({}, output=new)))
    return found[0].effect, found[0].detail


WIDER = [
    pytest.param(WHOLE, REAL, id="any number"),
    pytest.param(AB, ABC, id="more choices"),
    pytest.param(AB, TEXT, id="any text"),
    pytest.param({**WHOLE, "minimum": 1}, {**WHOLE, "minimum": 0}, id="lower minimum"),
    pytest.param({**WHOLE, "minimum": 1}, WHOLE, id="no minimum"),
    pytest.param(
        {**REAL, "maximum": 1, "exclusiveMaximum": True}, {**REAL, "maximum": 1}, id="maximum included"
    ),
    pytest.param({**REAL, "exclusiveMinimum": 0}, {**REAL, "minimum": 0}, id="minimum included"),
    pytest.param({**TEXT, "maxLength": 5}, {**TEXT, "maxLength": 6}, id="longer"),
    pytest.param({**TEXT, "pattern": "^a"}, TEXT, id="no pattern"),
    pytest.param({"type": "array", "items": WHOLE}, {"type": "array", "items": REAL}, id="items"),
    pytest.param(TEXT, {**TEXT, "nullable": True}, id="null"),
    pytest.param(TEXT, {"anyOf": [WHOLE, TEXT]}, id="union"),
    pytest.param(TEXT, {}, id="anything"),
    pytest.param({"allOf": [AB]}, {"allOf": [ABC]}, id="choices behind a reference"),
]


@pytest.mark.parametrize(("narrow", "wide"), WIDER)
def test_an_input_may_accept_more(narrow: dict[str, Any], wide: dict[str, Any]) -> None:
    assert of_input(narrow, wide) == (Effect.NEW, "accepts more")


@pytest.mark.parametrize(("narrow", "wide"), WIDER)
def test_an_input_may_not_accept_less(narrow: dict[str, Any], wide: dict[str, Any]) -> None:
    assert of_input(wide, narrow)[0] is Effect.BREAKS


@pytest.mark.parametrize(("narrow", "wide"), WIDER)
def test_an_output_may_say_less_and_not_more(narrow: dict[str, Any], wide: dict[str, Any]) -> None:
    assert of_output(wide, narrow)[0] is Effect.NEW
    assert of_output(narrow, wide)[0] is Effect.BREAKS


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (TEXT, WHOLE, "type is integer, it was string"),
        (TEXT, FILE, "value is a file, it was text"),
        (FILE, TEXT, "value is text, it was a file"),
        (ABC, AB, 'choices is "a", "b", it was "a", "b", "c"'),
        ({**WHOLE, "maximum": 20}, {**WHOLE, "maximum": 10}, "maximum is 10, it was 20"),
        (WHOLE, {**WHOLE, "minimum": 1}, "minimum is 1, it was anything"),
        ({**TEXT, "nullable": True}, TEXT, "type is string, it was null"),
        (
            {"type": "array", "items": AB},
            {"type": "array", "items": {"type": "string", "enum": ["a"]}},
            '[] choices is "a", it was "a", "b"',
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_breaks_is_told(old: dict[str, Any], new: dict[str, Any], told: str) -> None:
    assert of_input(old, new) == (Effect.BREAKS, told)
    assert of_output(new, old)[0] is Effect.BREAKS


def test_the_same_is_the_same() -> None:
    one = document({"a": {**TEXT, "default": "x"}, "b": AB}, ("b",))
    assert {line.partition(" ")[0] for line in said(one, one)} == {"same"}


def test_inputs_come_and_go() -> None:
    old = document({"kept": TEXT, "gone": TEXT, "asked": TEXT})
    new = document({"kept": TEXT, "asked": TEXT, "may": TEXT, "must": TEXT}, ("must", "asked"))
    assert said(old, new) == [
        "same input kept: ",
        "breaks input gone: is gone; a value that is sent for it is ignored",
        "breaks input asked: has to be given now",
        "new input may: is new and may be left out",
        "breaks input must: is new and required",
        "same output: ",
    ]


def test_a_default_is_told() -> None:
    assert of_input({**WHOLE, "default": 1}, {**WHOLE, "default": 2}) == (
        Effect.DIFFERENT,
        "its default is 2, it was 1",
    )


def test_what_an_object_lacks_breaks() -> None:
    one = {"type": "object", "properties": {"a": TEXT, "b": WHOLE}, "required": ["a", "b"]}
    other = {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}
    assert of_output(one, other) == (Effect.BREAKS, "b may be missing now")
    assert of_output(other, one)[0] is Effect.NEW
    deep = {**one, "properties": {"a": TEXT, "b": TEXT}}
    assert of_output(one, deep) == (Effect.BREAKS, "b type is string, it was integer")


def test_pieces_that_come_at_once_differ() -> None:
    whole = {"type": "array", "items": TEXT}
    pieces = {**whole, "x-cog-array-type": "iterator"}
    assert of_output(pieces, whole) == (Effect.DIFFERENT, "comes at once now")
    assert of_output(whole, pieces) == (Effect.DIFFERENT, "comes piece by piece now")


def test_streams_and_trainings_count() -> None:
    less, more = document({}), document({"a": TEXT}, streaming=True, training=True)
    breaking = [line for line in said(more, less) if line.startswith("breaks")]
    assert breaking == [
        "breaks input a: is gone; a value that is sent for it is ignored",
        "breaks training: the model cannot be trained any more",
        "breaks streaming: answers are not streamed any more",
    ]
    assert not [line for line in said(less, more) if line.startswith("breaks")]
    fewer = document({}, streaming=True, training=True)
    assert "breaks training input a: is gone; a value that is sent for it is ignored" in said(more, fewer)
