"""Which commands shell text has."""

from __future__ import annotations

import pytest

from cog_nix.programs.shell import started_in, words_of
from cog_nix.programs.words import Script


@pytest.mark.parametrize(
    ("text", "started"),
    [
        ("a b; c d && e || f | g & h\ni", "a c e f g h i"),
        ("A=b C=d a", "a"),
        ("a > b 2>&1 < c; d 2> e", "a d"),
        ("> a b", "b"),
        ("if a; then b; elif c; then d; else e; fi", "a b c d e"),
        ("while ! a; do b; done; c", "a b c"),
        ("for x in a b; do c $x; done", "c"),
        ("(a; b) && { c; }", "a b c"),
        ("[ -f a ] && b; [[ x > y && z ]] || c; test -f x", "b c test"),
        ("a $(b `c`) \"$(d)\" '$(e)'", "a b c d"),
        ("a 'b; c' \"d | e\" f\\;g", "a"),
        ("f() { a; }; f; b", "a b"),
        ("x=(a b); c", "c"),
        ("a \\\n  b\nc", "a c"),
        ("a # b; c\nd", "a d"),
        ("a x#b; c", "a c"),
        ("echo $((1 + 2)); a ${x:-b c}; d", "echo a d"),
        ("command -v a >/dev/null || exec b", "a b"),
        ("cd a; export b; source c; . d; e", "e"),
        ("$x a; ${y}b; z", "z"),
        ("a <<< b; c", "a c"),
    ],
)
def test_commands(text: str, started: str) -> None:
    assert [one for _, one in sorted(started_in(text))] == sorted(started.split())


@pytest.mark.parametrize(
    "text", ["a <<X\nb\nX", "case a in b) c;; esac", "a 'b", 'a "b', "a $(b", "a <(b)", "a `b"]
)
def test_what_is_not_understood_has_none(text: str) -> None:
    assert list(started_in(text)) == []


def test_lines() -> None:
    text = 'a\nb "\n" \\\n c\nd $(\ne)\nf'
    assert list(started_in(text)) == [(1, "a"), (2, "b"), (5, "d"), (7, "f"), (6, "e")]


def test_scripts() -> None:
    found = [one for _, one in started_in("bash x/y.sh a; ./z.sh; sh -e w.sh")]
    assert found == ["bash", Script("x/y.sh"), Script("./z.sh"), "sh", Script("w.sh")]


def test_words_that_are_no_commands() -> None:
    assert words_of("apt-get install -y a && curl -o /b/c d > e") == [
        "install",
        "-y",
        "a",
        "-o",
        "/b/c",
        "d",
        "e",
    ]
