"""Scalars mean what they mean to upstream's decoder; the expected values are what Cog 0.23.1 made of them."""

from __future__ import annotations

import pytest

from cog_nix.config.document import parse


def command(text: str) -> object:
    return parse(f"build:\n  run:\n  - command: {text}\n").data["build"]["run"][0].get("command")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("3.10", "3.1"),
        ('"3.10"', "3.10"),
        ("!!str 3.10", "3.10"),
        ("!!float 4", "4"),
        ("+3", "3"),
        ("4.0", "4"),
        ("1e3", "1000"),
        ("12e06", "1.2e+07"),
        (".5", "0.5"),
        ("-0.0", "-0"),
        ("0.00001", "1e-05"),
        ("0.0001234", "0.0001234"),
        ("123456.5", "123456.5"),
        ("1234567.5", "1.2345675e+06"),
        ("99999999999999999999", "1e+20"),
        ("18446744073709551615", "18446744073709551615"),
        ("1e400", "1e400"),
        ("+.inf", ".inf"),
        ("-.INF", "-.inf"),
        (".NaN", ".nan"),
        ("017", "15"),
        ("08", "8"),
        ("0o17", "15"),
        ("0x1F", "31"),
        ("0b11", "3"),
        ("1_000", "1000"),
        ("_1", "_1"),
        ("12:30:45", "12:30:45"),
        ("True", "true"),
        ("yes", "yes"),
        ("2024-01-01", "2024-01-01T00:00:00Z"),
        ("2024-1-2 3:4:5.670", "2024-01-02T03:04:05.67Z"),
        ("2024-01-01T00:00:00+02:00", "2024-01-01T00:00:00+02:00"),
        ("2024-01-01t00:00:00-02:30", "2024-01-01T00:00:00-02:30"),
        ("2024-13-01", "2024-13-01"),
        ("!!binary aGVsbG8=", "hello"),
        ("!mine x", "x"),
        ("~", None),
        ("1.2.3", "1.2.3"),
    ],
)
def test_parts_of_commands_are_numbers_and_dates_first(text: str, meant: str | None) -> None:
    assert command(text) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("4", 4),
        ("4.0", 4),
        ("1e1", 10),
        ("0x10", 16),
        ("017", 15),
        ("1_0", 10),
        ('!!int "3"', 3),
        ("9223372036854775807", 9223372036854775807),
        ("9223372036854775808", "9223372036854775808"),
        ("4.5", "4.5"),
        ('"4"', "4"),
        ("!!str 4", "4"),
        ("four", "four"),
    ],
)
def test_whole_numbers(text: str, meant: int | str) -> None:
    assert parse(f"concurrency:\n  max: {text}\n").data["concurrency"]["max"] == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("true", True),
        ("True", True),
        ("tRue", "tRue"),
        ("on", True),
        ("N", False),
        ('"yes"', True),
        ('"Off"', False),
        ('"true"', "true"),
        ("!!str true", "true"),
        ('!!bool "true"', True),
        ("1", "1"),
    ],
)
def test_truth(text: str, meant: bool | str) -> None:  # noqa: FBT001 - a row of the table
    found = parse(f"build:\n  gpu: {text}\n").data["build"]["gpu"]
    assert (found, type(found)) == (meant, type(meant))


@pytest.mark.parametrize("text", ["3.10", "true", "2024-01-01"])
def test_a_command_by_itself_must_be_a_text(text: str) -> None:
    document = parse(f"build:\n  run:\n  - {text}\n")
    assert document.problems[0].text == f"build.run[0] must be a text or a mapping, not {text}"
    assert document.problems[0].fix == f'Put it in quotes: - "{text}"'


@pytest.mark.parametrize(
    "text", ["!!int x", "!!null x", "!!bool yes", "!!float a", "!!timestamp x", "!!binary x"]
)
def test_a_tag_that_does_not_fit(text: str) -> None:
    document = parse(f"image: {text}\n")
    assert document.problems[0].line == 1
    assert document.problems[0].fix == "Remove the tag that begins with !!"
