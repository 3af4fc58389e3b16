"""``environment:`` through Docker's eyes; the expected values are what Docker's own ENV instruction made."""

from __future__ import annotations

import pytest

from cog_nix.config.dockerenv import ExpansionError, expand

KNOWN = {"HX": "/h", "EMPTY": "", "A": "first"}


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("", ""),
        ("a", "a"),
        ('"a b"', "a b"),
        ("'a b'", "a b"),
        ("a\\ b", "a b"),
        ('"a\\"b"', 'a"b'),
        ('"a\\nb"', "a\\nb"),
        ("a\\nb", "anb"),
        ('"\\\\"', "\\"),
        ('a"b"c', "abc"),
        ('"a\'b"', "a'b"),
        ("'a'\\''b'", "a'b"),
        ("$HX/x", "/h/x"),
        ("${HX}x", "/hx"),
        ("$HXx", ""),
        ("'$HX'", "$HX"),
        ("\\$HX", "$HX"),
        ("$", "$"),
        ("a$", "a$"),
        ("$$", ""),
        ("$1", ""),
        ("$?", ""),
        ("$(a)", "$(a)"),
        ("${NOPE:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${HX:-d}", "/h"),
        ("${HX:+d}", "d"),
        ("${NOPE:+d}", ""),
        ("${HX:?e}", "/h"),
        ('"${NOPE:-a b}"', "a b"),
        ("${NOPE:-$HX}", "/h"),
        ('{"a":1}', "{a:1}"),
        ("x#y", "x#y"),
        ("a=b", "a=b"),
        ("a  ", "a"),
        ("https://x/?a=1&b=2", "https://x/?a=1&b=2"),
        ("`a`;|<>~*é", "`a`;|<>~*é"),
    ],
)
def test_one_value(value: str, made: str) -> None:
    assert expand([("N", value)], KNOWN) == {"N": made}


def test_a_blank_begins_another_variable() -> None:
    assert expand([("N", "a b=c  d='e f'")], KNOWN) == {"N": "a", "b": "c", "d": "e f"}


def test_values_do_not_see_each_other() -> None:
    assert expand([("B", "$A"), ("A", "second")], KNOWN) == {"A": "second", "B": "first"}


@pytest.mark.parametrize(
    "value", ["a b", " a", '"a', "'a", "a\\", "${HX", "${}", "${HX:}", "${HX%/*}", "${EMPTY-d}", "${NOPE:?e}"]
)
def test_what_docker_refuses(value: str) -> None:
    with pytest.raises(ExpansionError):
        expand([("N", value)], KNOWN)
