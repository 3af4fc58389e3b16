"""Programs that a wheel brings: console scripts (entry points specification), and those in its data."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ENTRY_POINTS = re.compile(r"^[^/]+\.dist-info/entry_points\.txt$")
"""The member with a wheel's entry points."""
_DATA = re.compile(r"[^/]+\.data/(?:scripts|data/s?bin)/([^/]+)")
_SECTIONS = ("console_scripts", "gui_scripts")


def programs_of(members: Iterable[str], entry_points: str) -> tuple[str, ...]:
    """Return the names of a wheel's programs, as they come to ``/usr/local/bin``, sorted.

    Args:
        members: names of its files.
        entry_points: the text of its ``entry_points.txt``; one that cannot be parsed names none here: whoever
            installs it says so.
    """
    scripts = (_DATA.fullmatch(name) for name in members)
    return tuple(sorted({script[1] for script in scripts if script} | set(_names(entry_points))))


def _names(text: str) -> list[str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names are not told apart by case otherwise
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    return [name.strip() for section in _SECTIONS if parser.has_section(section) for name in parser[section]]
