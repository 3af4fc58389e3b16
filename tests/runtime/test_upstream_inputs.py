"""What Cog 0.23.1 makes of inputs, case by case: ``upstream_inputs.json`` holds what it answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.inputs import prepare_inputs, read_inputs
from cog_nix.runtime.schema import ApiSchema

FACTS = json.loads(Path(__file__).with_name("upstream_inputs.json").read_text(encoding="utf-8"))


def _id(case: dict[str, Any]) -> str:
    return f"{case['schema']}-{case.get('flags') or case.get('json', 'nothing')}"


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, home = tmp_path / "folder", tmp_path / "home"
    (folder / "DIR").mkdir(parents=True)
    home.mkdir()
    for name in ("FILE", "FILE.png", "FILE.JPG", "FILE.tar.gz", "FILE.wav", "FILE.foo", "FILE.md", ".hidden"):
        (folder / name).write_bytes(b"hi")
    (folder / "FILE.json").write_text('{"x": 7}')
    (folder / "utf.json").write_bytes(b'{"x":"\xff"}')
    (home / "FILE").write_bytes(b"home")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(home))


def _schema(name: str) -> ApiSchema:
    components = FACTS["schemas"][name]
    return ApiSchema(
        {} if components is None else {"components": {"schemas": {**FACTS["references"], **components}}}
    )


@pytest.mark.parametrize("case", FACTS["cases"], ids=_id)
def test_inputs_become_what_upstream_makes_of_them(case: dict[str, Any]) -> None:
    train = case.get("train", False)
    if "error" in case:
        with pytest.raises(RuntimeFailure) as caught:
            prepare_inputs(
                read_inputs(case.get("flags", ()), case.get("json", "")), _schema(case["schema"]), train=train
            )
        assert caught.value.message == case["error"]
    else:
        given = read_inputs(case.get("flags", ()), case.get("json", ""))
        prepared = prepare_inputs(given, _schema(case["schema"]), train=train)
        # As text, because 1 and 1.0 and true are equal otherwise.
        assert json.dumps(prepared, sort_keys=True) == json.dumps(case["body"], sort_keys=True)


@pytest.mark.parametrize(
    ("schema", "flag", "value"),
    [
        pytest.param("int", "x=3000000000", 3000000000, id="integer-of-more-than-32-bits"),
        pytest.param("num", "x=0.123456789", 0.123456789, id="float-of-more-than-32-bits"),
        pytest.param("num", "x=1e39", 1e39, id="float-beyond-32-bits"),
        pytest.param("str", 'x="', '"', id="one-quote"),
        pytest.param("uos", "x=a", "a", id="object-or-text"),
    ],
)
def test_where_upstream_fails_a_value_is_taken(schema: str, flag: str, value: Any) -> None:
    assert prepare_inputs(read_inputs([flag]), _schema(schema)) == {"x": value}


@pytest.mark.parametrize(
    ("schema", "flags", "json_text", "message"),
    [
        pytest.param("num", ["x=nan"], "", 'invalid input "x": expected number, got string', id="nan"),
        pytest.param("num", ["x=1e400"], "", 'invalid input "x": expected number, got string', id="infinite"),
        pytest.param(
            "num",
            [],
            '{"x": 1e400}',
            "Failed to parse JSON: 1e400 is too large for a number",
            id="json-infinite",
        ),
        pytest.param("num", [], '{"x": NaN}', "Failed to parse JSON: NaN is not a JSON value", id="json-nan"),
        pytest.param(
            "any",
            [],
            '{"x": ' + "[" * 100000 + "]" * 100000 + "}",
            "Failed to parse JSON: it is nested too deeply",
            id="json-depth",
        ),
        pytest.param("str", ["x=@a\0b"], "", 'input "x": open a\0b: invalid argument', id="nul-in-a-name"),
        pytest.param(
            "str", ["x=@\ud800"], "", 'input "x": open \ud800: invalid argument', id="no-name-of-a-file"
        ),
    ],
)
def test_what_is_no_json_is_told_in_our_words(
    schema: str, flags: list[str], json_text: str, message: str
) -> None:
    with pytest.raises(RuntimeFailure) as caught:
        prepare_inputs(read_inputs(flags, json_text), _schema(schema))
    assert caught.value.message == message


def test_text_that_is_no_unicode_is_mended() -> None:
    assert prepare_inputs(read_inputs(["x=a\udcffb"]), _schema("str")) == {"x": "a\ufffdb"}
    assert prepare_inputs(read_inputs([], r'{"x": {"\ud800": "\ud83d\ude00"}}'), _schema("any")) == {
        "x": {"\ufffd": "\U0001f600"}
    }
