from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.check import CompatError
from cog_nix.check.inputs import made_up, wrong
from cog_nix.check.result import NotApplicable

if TYPE_CHECKING:
    from pathlib import Path


def document(required: list[str] | None = None, **properties: dict[str, Any]) -> dict[str, Any]:
    names = list(properties) if required is None else required
    choices = {"enum": ["left", "right"], "type": "string"}
    return {
        "components": {"schemas": {"Input": {"properties": properties, "required": names}, "side": choices}}
    }


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "hello"),
        ({"type": "string", "maxLength": 2}, "he"),
        ({"type": "string", "minLength": 7}, "hellohe"),
        ({"type": "integer"}, 1),
        ({"type": "number", "minimum": 4}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "boolean"}, True),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "object"}, {}),
        ({"allOf": [{"$ref": "#/components/schemas/side"}]}, "left"),
        ({"$ref": "#/components/schemas/side"}, "left"),
    ],
    ids=str,
)
def test_a_required_input_is_made_up(schema: dict[str, Any], value: Any) -> None:
    assert made_up(document(it=schema), {}) == {"it": value}


def test_an_optional_input_is_left_to_the_model() -> None:
    assert made_up(document([], it={"type": "string"}), {}) == {}


@pytest.mark.parametrize(
    "schema",
    [{"type": "string", "format": "uri"}, {"type": "array", "items": {"format": "uri"}}, {"pattern": "^x"}],
    ids=["file", "files", "pattern"],
)
def test_what_cannot_be_made_up_has_to_be_given(schema: dict[str, Any]) -> None:
    with pytest.raises(NotApplicable, match="needs -i it="):
        made_up(document(it=schema), {})


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "3", 3),
        ("number", "0.5", 0.5),
        ("boolean", "True", True),
        ("boolean", "no", False),
        ("array", "[1]", [1]),
        ("string", "3", "3"),
    ],
)
def test_what_is_given_gets_its_type(kind: str, text: str, value: Any) -> None:
    assert made_up(document(it={"type": kind}), {"it": text}) == {"it": value}


def test_a_file_is_given_as_a_data_url(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    given = {"it": f"@{tmp_path / 'a.txt'}"}
    assert made_up(document(it={"type": "string"}), given) == {"it": "data:text/plain;base64,YQ=="}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"other": "1"}, "no input 'other'"),
        ({"it": "many"}, "it='many' is not of the type integer"),
        ({"it": "@no/such/file"}, "no/such/file cannot be read: No such file"),
    ],
    ids=["name", "value", "file"],
)
def test_what_is_wrong_is_told(given: dict[str, str], message: str) -> None:
    with pytest.raises(CompatError, match=message):
        made_up(document(it={"type": "integer"}), given)


def test_one_input_is_made_wrong_and_the_others_stay_right() -> None:
    api = document(a={"type": "string"}, b={"type": "integer"})
    assert wrong(api, {"a": "left", "b": 1}) == ("a", {"a": 3, "b": 1})


def test_an_input_with_choices_would_be_wrong_twice() -> None:
    api = document(a={"$ref": "#/components/schemas/side"}, b={"type": "integer"})
    assert wrong(api, {"a": "left", "b": 1}) == ("b", {"a": "left", "b": "three"})


def test_a_model_without_inputs_cannot_get_a_wrong_one() -> None:
    with pytest.raises(NotApplicable):
        wrong(document(), {})
