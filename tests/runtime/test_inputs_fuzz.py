"""Whatever is typed gives a request that can be sent, and whatever is answered can be shown: or one error."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cog_nix.errors import CogNixError
from cog_nix.runtime.inputs import prepare_inputs, read_inputs
from cog_nix.runtime.jsontext import parse_json
from cog_nix.runtime.outputs import json_text, text_of, write_files
from cog_nix.runtime.schema import ApiSchema
from cog_nix.runtime.validation import problems

pytestmark = pytest.mark.slow

STRING = {"type": "string"}
INTEGER = {"type": "integer", "minimum": -5, "maximum": 100}
PROPERTIES = {
    "s": {**STRING, "minLength": 1, "maxLength": 20, "pattern": r"^\w*$"},
    "i": INTEGER,
    "n": {"type": "number", "multipleOf": 0.5},
    "b": {"type": "boolean"},
    "f": {"type": "string", "format": "uri"},
    "o": {"type": "object"},
    "a": {},
    "l": {"type": "array", "items": INTEGER, "uniqueItems": True},
    "u": {"anyOf": [{"type": "number"}, STRING, {"type": "array", "items": STRING}]},
    "c": {"allOf": [{"type": "string", "enum": ["x", "y"]}]},
    "é": {"type": "string", "nullable": True},
}
SCHEMA = ApiSchema({"components": {"schemas": {"Input": {"type": "object", "properties": PROPERTIES}}}})

# Arguments of a process: any text, bytes of another encoding as lone surrogates.
ARGUMENTS = st.text(st.characters(codec=None), max_size=60)
NUMBERS = st.from_regex(r"[+-]?[0-9_.eE+-]{1,30}", fullmatch=True)
NAMES = st.sampled_from(sorted(PROPERTIES))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ARGUMENTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
FLAGS = st.lists(
    st.one_of(
        ARGUMENTS,
        st.builds("{}={}".format, NAMES, ARGUMENTS | NUMBERS),
        st.builds("{}={}".format, NAMES, JSON.map(json.dumps)),
    ),
    max_size=4,
)
JSON_TEXTS = st.one_of(
    ARGUMENTS.filter(lambda text: text not in ("-", "@-")),
    JSON.map(json.dumps),
    st.dictionaries(NAMES, JSON, max_size=4).map(json.dumps),
)
bounded = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _request_or_error(flags: list[str], json_text: str) -> None:
    try:
        prepared = prepare_inputs(read_inputs(flags, json_text), SCHEMA)
    except CogNixError as error:
        assert error.message  # noqa: PT017 - any of ours will do
        return
    body = json.dumps(prepared, allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(body) == prepared
    assert set(prepared) <= set(PROPERTIES)


@bounded
@given(FLAGS)
@example(["i=" + "9" * 5000])
@example(["i=" + "9" * 309])
@example(["n=" + "9" * 308])
@example(["l=[" + "9" * 400 + "]"])
@example(["o=" + "[" * 5000])
@example(["l=[1" + "0" * 5000 + "]"])
@example(["s=@\0"])
@example(["f=@~\0/"])
@example(["=@"])
def test_any_flags(flags: list[str]) -> None:
    _request_or_error(flags, "")


@bounded
@given(JSON_TEXTS)
@example('{"a": ' + '{"a": ' * 5000 + "1" + "}" * 5001)
@example('{"i": 1' + "0" * 5000 + "}")
@example('{"i": 1' + "0" * 400 + "}")
@example('{"n": ' + "9" * 308 + "}")
@example('{"f": "@\\u0000"}')
@example("@\0")
def test_any_json(json_text: str) -> None:
    _request_or_error([], json_text)


@pytest.mark.parametrize("depth", [60, 118, 119, 120, 900, 20000])
def test_depth_is_bounded_where_the_server_would_refuse(depth: int) -> None:
    _request_or_error([], '{"a": ' + "[" * depth + "1" + "]" * depth + "}")
    _request_or_error(["o=" + '{"a":' * depth + "1" + "}" * depth], "")


def _read(text: str) -> Any:
    """Return a JSON value as programs read it whose numbers are all floats."""
    return json.loads(text, parse_int=float)


FILE = {"type": "string", "format": "uri"}
OUTPUTS: tuple[dict[str, Any], ...] = (
    {},
    STRING,
    FILE,
    {"type": "array", "items": FILE},
    {"type": "array"},
    {"type": "object"},
)
URLS = st.builds(
    "{}:{}{},{}".format, st.sampled_from(["data", "x"]), ARGUMENTS, st.just(";base64"), ARGUMENTS
)


@bounded
@given(st.sampled_from(OUTPUTS), JSON | URLS | st.lists(URLS, max_size=3))
def test_any_output(schema: dict[str, Any], answered: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            output = parse_json(json.dumps(answered))
        except ValueError:
            assert "NaN" in json.dumps(answered) or "Infinity" in json.dumps(answered)
            return
        try:
            shown = write_files(output, schema, Path(folder) / "output", lambda _path: None)
            text = text_of(output, schema)
        except CogNixError as error:
            assert error.message  # noqa: PT017 - any of ours will do
            return
        assert _read(json_text(shown)) == _read(json.dumps(shown))
        if text is not None and schema != STRING:
            assert _read(text) == _read(json.dumps(output))
        written = {path.name for path in Path(folder).iterdir()}
        assert len(written) == (len(output) if schema == OUTPUTS[3] else int(schema == FILE))


# Without null, which OpenAPI 3.0 and JSON Schema see differently, both must come to the same verdict.
ANY_SCHEMA = st.recursive(
    st.sampled_from(
        [
            {},
            STRING,
            INTEGER,
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "number", "multipleOf": 2},
            {"type": "boolean"},
            {"type": "string", "minLength": 1, "maxLength": 2},
            {"type": "string", "pattern": "^[ab]"},
            {"enum": ["a", 1, 2.5, [], True]},
            {"type": "object", "required": ["a"], "maxProperties": 2},
            {"type": "array", "uniqueItems": True, "minItems": 1},
        ]
    ),
    lambda inner: st.one_of(
        *(
            st.builds(lambda kind, some: {kind: some}, st.just(kind), st.lists(inner, min_size=1, max_size=3))
            for kind in ("anyOf", "allOf", "oneOf")
        ),
        st.builds(lambda one: {"type": "array", "items": one}, inner),
        st.builds(lambda one: {"properties": {"a": one}, "additionalProperties": False}, inner),
        st.builds(lambda one: {"type": "object", "additionalProperties": one}, inner),
        st.builds(lambda one: {"not": one}, inner),
    ),
    max_leaves=5,
)
VALUES = st.recursive(
    st.booleans()
    | st.integers(-6, 12)
    | st.sampled_from([2.5, 4.0, 0.0])
    | st.text(st.sampled_from("abc"), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=5,
)


@bounded
@given(ANY_SCHEMA, VALUES)
def test_the_verdict_is_that_of_json_schema(schema: dict[str, Any], value: Any) -> None:
    assert bool(problems(value, schema)) is not Draft202012Validator(schema).is_valid(value)
