"""Spans of time as they are written."""

from __future__ import annotations

import pytest

from cog_nix.system.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h1m1s", 3661),
        ("1m30", 90),
    ],
)
def test_times_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10 m", "-5m", "1.5h", "10d", "5m1h", "٣m", "10m\n", "9" * 30])
def test_anything_else_is_no_time(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize("text", ["0s", "1s", "10m", "1h", "1h30m", "2h5s"])
def test_what_is_written_is_read_back(text: str) -> None:
    seconds = parse_duration(text)
    assert seconds is not None
    assert format_duration(seconds) == text
