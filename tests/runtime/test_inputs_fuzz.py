"""Whatever is typed gives a request that can be sent, or one error of ours."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cog_nix.errors import CogNixError
from cog_nix.runtime.inputs import prepare_inputs, read_inputs
from cog_nix.runtime.schema import ApiSchema

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
@example('{"f": "@\\u0000"}')
@example("@\0")
def test_any_json(json_text: str) -> None:
    _request_or_error([], json_text)


@pytest.mark.parametrize("depth", [60, 118, 119, 120, 900, 20000])
def test_depth_is_bounded_where_the_server_would_refuse(depth: int) -> None:
    _request_or_error([], '{"a": ' + "[" * depth + "1" + "]" * depth + "}")
    _request_or_error(["o=" + '{"a":' * depth + "1" + "}" * depth], "")
