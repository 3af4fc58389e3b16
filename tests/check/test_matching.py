from __future__ import annotations

from typing import Any

import pytest

from cog_nix.check import sse
from cog_nix.check.matching import differences


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (1, 1),
        ({"a": 1}, {"a": 1, "b": 2}),
        ([1, "<any>"], [1, None]),
        ("~^a+$", "aaa"),
        ("<time>", "2026-01-01T00:00:00.904335341+00:00"),
        ("<number>", 0.5),
        ({"a": "<absent>"}, {"b": 1}),
        ({"a": {"b": ["~x"]}}, {"a": {"b": ["axb"]}}),
        (2, 2.0),
    ],
)
def test_fits(expected: Any, actual: Any) -> None:
    assert list(differences(expected, actual)) == []


@pytest.mark.parametrize(
    ("expected", "actual", "sentence"),
    [
        (1, 2, "it is 2, not 1"),
        ({"a": 1}, {}, "a is missing"),
        ({"a": {"b": 1}}, {"a": {"b": "1"}}, 'a.b is "1", not 1'),
        ([1], [1, 2], "it is [1, 2], not [1]"),
        ([{"a": 1}], [{"a": 2}], "[0].a is 2, not 1"),
        ({"a": "<absent>"}, {"a": None}, "a is null, and should not be there"),
        (True, 1, "it is 1, not true"),
        (1, True, "it is true, not 1"),
        ("<number>", True, 'it is true, not "<number>"'),
        ("<time>", "2026-01-01T00:00:00", 'it is "2026-01-01T00:00:00", not "<time>"'),
        ("~^a$", "b", 'it is "b", not "~^a$"'),
        ({"a": 1}, [1], "it is [1], not a table"),
    ],
)
def test_differs(expected: Any, actual: Any, sentence: str) -> None:
    assert list(differences(expected, actual)) == [sentence]


def test_long_values_are_cut() -> None:
    (sentence,) = differences("x", "y" * 1000)
    assert len(sentence) < 250


def test_events_are_read_and_comments_skipped() -> None:
    text = ': keep-alive\n\nevent: output\ndata: {"a":\ndata: 1}\n\ndata: "x"\r\n\r\nevent: nothing\n\n'
    assert sse.parse(text) == [{"event": "output", "data": {"a": 1}}, {"event": "message", "data": "x"}]
