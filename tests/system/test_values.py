"""Frozen values behave as the standard library's do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cog_nix.system.values import frozen, replace


@frozen
class Ours:
    """A value."""

    name: str
    size: int = 3


@dataclasses.dataclass(frozen=True)
class Theirs:
    """The same."""

    name: str
    size: int = 3


BOTH = pytest.mark.parametrize("kind", [Ours, Theirs], ids=["ours", "the standard library's"])


@BOTH
def test_fields_by_position_by_name_and_by_default(kind: Any) -> None:
    assert kind("a") == kind(name="a") == kind("a", 3) == kind("a", size=3)
    assert (kind("a").name, kind("a").size) == ("a", 3)


@BOTH
def test_equal_by_kind_and_content_alone(kind: Any) -> None:
    assert kind("a") != kind("b")
    assert kind("a") != ("a", 3)
    assert Ours("a") != Theirs("a")  # type: ignore[comparison-overlap]
    assert {kind("a"), kind("a"), kind("b")} == {kind("a"), kind("b")}


@BOTH
@pytest.mark.parametrize(
    ("arguments", "named"),
    [((), {}), (("a", 3, 4), {}), (("a",), {"name": "b"}), (("a",), {"colour": 1}), ((), {"size": 1})],
)
def test_wrong_arguments(kind: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        kind(*arguments, **named)


@BOTH
def test_nothing_can_be_changed(kind: Any) -> None:
    one = kind("a")
    with pytest.raises(AttributeError):
        one.name = "b"
    with pytest.raises(AttributeError):
        one.colour = "b"
    with pytest.raises(AttributeError):
        del one.name
    assert one == kind("a")


def test_text_pattern_and_replacement() -> None:
    assert repr(Ours("a")) == "Ours(name='a', size=3)"
    match Ours("a", 4):
        case Ours(name, 4):
            assert name == "a"
        case _:
            pytest.fail("a value matches by its fields")
    assert replace(Ours("a"), size=5) == Ours("a", 5)
    assert dataclasses.replace(Theirs("a"), size=5) == Theirs("a", 5)
