from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.inputs import prepare_inputs, read_inputs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.runtime.schema import ApiSchema

    MakeSchema = Callable[..., ApiSchema]

STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
FILE = {"type": "string", "format": "uri"}
CHOICE = {"allOf": [{"$ref": "#/components/schemas/size"}]}
STRINGS = {"type": "array", "items": STRING}
INTEGERS = {"type": "array", "items": INTEGER}


@pytest.mark.parametrize(
    ("flags", "schema", "value"),
    [
        pytest.param(["x=12"], STRING, "12", id="digits-for-a-string-stay-text"),
        pytest.param(["x=-12"], INTEGER, -12, id="integer"),
        pytest.param(["x=12"], NUMBER, 12, id="integer-for-a-number"),
        pytest.param(["x=1e-3"], NUMBER, 0.001, id="float"),
        pytest.param(["x=.5"], NUMBER, 0.5, id="float-without-a-zero"),
        pytest.param(["x=true"], {"type": "boolean"}, True, id="boolean"),
        pytest.param(['x="a b"'], STRING, "a b", id="quotes-are-stripped"),
        pytest.param(['x="'], STRING, '"', id="a-single-quote-is-kept"),
        pytest.param(["x="], STRING, "", id="empty"),
        pytest.param(["x=a=b"], STRING, "a=b", id="only-the-first-equals-sign-splits"),
        pytest.param(["x=large"], CHOICE, "large", id="choice-behind-a-reference"),
        pytest.param(["x=a", "x=b"], STRINGS, ["a", "b"], id="repeated-names-make-a-list"),
        pytest.param(["x=1", "x=2"], INTEGERS, [1, 2], id="items-are-coerced"),
        pytest.param(["x=1"], INTEGERS, [1], id="one-value-of-a-list"),
        pytest.param(["x=[1, 2]"], INTEGERS, [1, 2], id="list-as-json"),
        pytest.param(["x=7"], {"anyOf": [STRING, INTEGER]}, 7, id="union-prefers-the-number"),
        pytest.param(["x=seven"], {"anyOf": [INTEGER, STRING]}, "seven", id="union-falls-back-to-text"),
        pytest.param(["x=1"], {"anyOf": [STRING, INTEGERS]}, "1", id="union-of-text-and-list"),
        pytest.param(['x={"a": [1]}'], {"type": "object"}, {"a": [1]}, id="object-as-json"),
        pytest.param(["x=5"], {}, "5", id="anything"),
    ],
)
def test_a_flag_becomes_what_the_schema_wants(
    make_schema: MakeSchema, flags: list[str], schema: dict[str, Any], value: Any
) -> None:
    prepared = prepare_inputs(read_inputs(flags), make_schema({"x": schema}))
    assert prepared == {"x": value}
    assert type(prepared["x"]) is type(value)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("cat.png", "image/png"),
        ("cat.webp", "image/webp"),
        ("cat.mesh", "application/octet-stream"),
        ("CAT.JPG", "image/jpeg"),
    ],
)
def test_a_file_is_sent_as_a_data_url(
    make_schema: MakeSchema, tmp_path: Path, name: str, media_type: str
) -> None:
    file = tmp_path / name
    file.write_bytes(b"\x00bytes")
    encoded = base64.b64encode(file.read_bytes()).decode()
    expected = f"data:{media_type};base64,{encoded}"
    schema = make_schema({"x": FILE, "many": {"type": "array", "items": FILE}})
    flags = [f"x=@{file}", f"many=@{file}", f"many=@{file}"]
    assert prepare_inputs(read_inputs(flags[:1]), schema) == {"x": expected}
    assert prepare_inputs(read_inputs(flags[1:]), schema) == {"many": [expected, expected]}
    assert prepare_inputs(read_inputs([], f'{{"x": "@{file}"}}'), schema) == {"x": expected}


@pytest.mark.parametrize("form", ["{}", "@file", "@-", "-"])
def test_json_comes_from_the_flag_a_file_or_stdin(
    make_schema: MakeSchema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    text = '{"x": 3, "names": ["a"]}'
    (tmp_path / "file").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    given = read_inputs([], text if form == "{}" else form)
    assert prepare_inputs(given, make_schema({"x": INTEGER, "names": STRINGS})) == {"x": 3, "names": ["a"]}


ONE = {
    "n": {"type": "integer", "minimum": 0, "maximum": 10},
    "big": {"type": "number", "maximum": 2500000},
    "size": CHOICE,
    "names": STRINGS,
    "word": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
    "either": {"anyOf": [INTEGER, {"type": "boolean"}]},
    "opt": {"type": "string", "nullable": True},
    "table": {"type": "object"},
}


@pytest.mark.parametrize(
    ("flags", "json_text", "message"),
    [
        pytest.param(["n=11"], "", 'invalid input "n": number must be at most 10', id="maximum"),
        pytest.param(["n=-1"], "", 'invalid input "n": number must be at least 0', id="minimum"),
        pytest.param(
            ["big=1e7"], "", 'invalid input "big": number must be at most 2.5e+06', id="large-bound"
        ),
        pytest.param(["n=1.5"], "", 'invalid input "n": expected integer, got string', id="fraction"),
        pytest.param(["n=abc"], "", 'invalid input "n": expected integer, got string', id="no-number"),
        pytest.param(["size=huge"], "", 'invalid input "size": must be one of: small, large', id="choice"),
        pytest.param(
            [], '{"size": 5}', 'invalid input "size": must be one of: small, large', id="choice-type"
        ),
        pytest.param([], '{"names": [1]}', 'invalid input "names.0": expected string, got number', id="item"),
        pytest.param(["word=a"], "", 'invalid input "word": minimum string length is 2', id="short"),
        pytest.param(["word=abcde"], "", 'invalid input "word": maximum string length is 4', id="long"),
        pytest.param(
            ["word=ABC"],
            "",
            'invalid input "word": string doesn\'t match the regular expression "^[a-z]+$"',
            id="pattern",
        ),
        pytest.param(
            ["either=x"], "", 'invalid input "either": doesn\'t match any schema from "anyOf"', id="union"
        ),
        pytest.param(
            [],
            '{"opt": null, "n": "a"}',
            'invalid input "opt": must not be null (omit the input to use its default)',
            id="null-first-and-alone",
        ),
        pytest.param(
            ["size=huge", "n=11"],
            "",
            'input validation failed:\n- invalid input "n": number must be at most 10\n'
            '- invalid input "size": must be one of: small, large',
            id="all-together-by-name",
        ),
        pytest.param(
            ["nn=1"],
            "",
            'unknown input "nn"; valid inputs are: big, either, n, names, opt, size, table, word',
            id="unknown",
        ),
        pytest.param(
            ["b=1", "a=1", "n=x"],
            "",
            'unknown inputs "a", "b"; valid inputs are: big, either, n, names, opt, size, table, word',
            id="unknown-before-anything-else",
        ),
        pytest.param(["table={"], "", 'invalid input "table": expected a JSON object: ', id="broken-object"),
        pytest.param(
            ["n"], "", "Failed to parse input 'n', expected format is 'name=value'", id="no-equals-sign"
        ),
        pytest.param(["n=1"], "{}", "Must use one of --json or --input to provide model inputs", id="both"),
        pytest.param([], "[1]", "Failed to parse JSON: expected object, got array", id="json-list"),
        pytest.param([], "{", "Failed to parse JSON: ", id="json-broken"),
        pytest.param(
            [],
            "@gone.json",
            'Failed to read JSON from file "gone.json": open gone.json: no such file or directory',
            id="json-file-gone",
        ),
        pytest.param(["opt=@gone"], "", 'input "opt": open gone: no such file or directory', id="file-gone"),
    ],
)
def test_a_wrong_input_is_told_in_upstreams_words(
    make_schema: MakeSchema, flags: list[str], json_text: str, message: str
) -> None:
    with pytest.raises(RuntimeFailure) as caught:
        prepare_inputs(read_inputs(flags, json_text), make_schema(ONE))
    assert caught.value.message.startswith(message)
    if not message.endswith(": "):
        assert caught.value.message == message


def test_missing_inputs_are_all_named_after_wrong_ones(make_schema: MakeSchema) -> None:
    schema = make_schema({"n": INTEGER, "text": STRING, "image": FILE}, required=("text", "image"))
    with pytest.raises(RuntimeFailure) as caught:
        prepare_inputs(read_inputs(["n=x"]), schema)
    assert caught.value.message.splitlines() == [
        "input validation failed:",
        '- invalid input "n": expected integer, got string',
        '- missing required input "text"',
        '- missing required input "image"',
    ]


def test_a_model_without_inputs_says_so(make_schema: MakeSchema) -> None:
    with pytest.raises(RuntimeFailure, match=r'^unknown input "x"; model does not accept inputs$'):
        prepare_inputs(read_inputs(["x=1"]), make_schema())


def test_a_typo_is_found_before_a_file_is_read(make_schema: MakeSchema) -> None:
    with pytest.raises(RuntimeFailure, match=r"^unknown input"):
        prepare_inputs(read_inputs(["typo=@/nowhere"]), make_schema({"image": FILE}))


def test_a_training_without_inputs_of_its_own_takes_the_predictions(make_schema: MakeSchema) -> None:
    schema = make_schema({"n": INTEGER})
    assert prepare_inputs(read_inputs(["n=1"]), schema, train=True) == {"n": 1}
    schema.document["components"]["schemas"]["TrainingInput"] = {
        "type": "object",
        "properties": {"m": INTEGER},
    }
    assert prepare_inputs(read_inputs(["m=1"]), schema, train=True) == {"m": 1}
