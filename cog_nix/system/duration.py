"""Spans of time as people write them: ``90s``, ``10m``, ``1h30m``; a number alone is seconds."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(?=[0-9])(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s?)?", re.ASCII)
_MINUTE, _HOUR = 60, 3600


def parse_duration(text: str) -> int | None:
    """Return a span in seconds; None: this is none."""
    found = _PARTS.fullmatch(text)
    if not found:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * _HOUR + minutes * _MINUTE + seconds


def format_duration(seconds: int) -> str:
    """Return a span as :func:`parse_duration` reads it."""
    hours, rest = divmod(seconds, _HOUR)
    minutes, left = divmod(rest, _MINUTE)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
