"""``parse``: data and lines."""

from __future__ import annotations

import pytest
import yaml

from cog_nix.config.document import parse
from cog_nix.errors import ConfigError

BOTH_PARSERS = pytest.mark.parametrize("with_libyaml", [True, False], ids=["libyaml", "pure"])


@pytest.fixture
def parser(with_libyaml: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    if not with_libyaml:
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


@BOTH_PARSERS
@pytest.mark.usefixtures("parser")
def test_lines_of_values() -> None:
    document = parse("# c\nbuild:\n  run:\n    - a\n\n    - |\n      b\n  gpu: true\nimage:\n  x\n")
    assert document.data == {"build": {"run": ["a", "b\n"], "gpu": True}, "image": "x"}
    assert document.line("build") == 2
    assert document.line("build", "run", 1) == 6
    assert document.line("image") == 10
    assert document.line("build", "cuda") == 2
    assert document.line("train") == 0


@BOTH_PARSERS
@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "data"),
    [
        pytest.param("build: {python_version: 3.10}", {"build": {"python_version": "3.10"}}, id="version"),
        pytest.param("build: {cuda: 1_0}", {"build": {"cuda": "1_0"}}, id="underscore"),
        pytest.param("image: 1:30", {"image": "1:30"}, id="sexagesimal"),
        pytest.param("image: ''", {"image": ""}, id="quoted-nothing"),
        pytest.param("image: 'null'", {"image": "null"}, id="quoted-null"),
        pytest.param("image: !!str", {"image": ""}, id="tagged-nothing"),
        pytest.param("image: null", {}, id="null"),
        pytest.param("build: {gpu: off}", {"build": {"gpu": False}}, id="off"),
        pytest.param("concurrency: {max: 4.0}", {"concurrency": {"max": 4}}, id="integral"),
        pytest.param("concurrency: {max: 4.5}", {"concurrency": {"max": "4.5"}}, id="fraction"),
        pytest.param("---\nimage: a\n---\n[", {"image": "a"}, id="second-document"),
        pytest.param("image: a\t# c\n", {"image": "a"}, id="tab-before-comment"),
        pytest.param("run:\t'a\tb'\n", {"run": "a\tb"}, id="tab-in-quotes"),
        pytest.param("\ufeffimage: a", {"image": "a"}, id="byte-order-mark"),
    ],
)
def test_scalars(text: str, data: dict[str, object]) -> None:
    assert parse(text).data == data


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: " + "[" * 20_000, id="flow-lists"),
        pytest.param("a: " + "{a: " * 20_000, id="flow-mappings"),
        pytest.param("- " * 20_000, id="block-lists"),
        pytest.param("\n".join(" " * depth + "a:" for depth in range(2_000)), id="block-mappings"),
        pytest.param("image: " + "[" * 200 + "]" * 200, id="well-formed"),
    ],
)
def test_nesting_without_end_is_an_error(text: str) -> None:
    try:
        document = parse(text)
    except ConfigError:
        return
    assert document.problems


def test_aliases_that_multiply_are_an_error() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    rows += ["environment: *a11"]
    assert "nested deeper" in parse("\n".join(rows)).problems[0].text


def test_merges_that_multiply_are_an_error() -> None:
    rows = ["a0: &a0 {k: v}"]
    rows += [f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    rows += ["build:", "  <<: *a11"]
    assert parse("\n".join(rows)).problems


def test_explicit_keys_win_over_merged_ones() -> None:
    text = "x-a: &a {image: merged, train: t.py:T}\n<<: *a\nimage: own\n"
    assert parse(text).data == {"image": "own", "train": "t.py:T"}


def test_what_stands_under_an_unknown_key_is_not_read() -> None:
    document = parse(
        "image: a\nfoo:\n  a: 1\n  a: 2\n  b: *x\n  x: &x [*x]\n".replace("*x\n  x", "&y 1\n  x")
    )
    assert document.data == {"image": "a"}
    assert document.unknown == (("foo",),)
    assert document.problems == ()
