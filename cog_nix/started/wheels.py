"""Programs that a wheel brings: console scripts (entry points specification), and those in its data."""

from __future__ import annotations

import configparser
import re
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DATA = re.compile(r"[^/]+\.data/(?:scripts|data/s?bin)/([^/]+)")
_ENTRY_POINTS = re.compile(r"[^/]+\.dist-info/entry_points\.txt")
_SECTIONS = ("console_scripts", "gui_scripts")


def programs_in(wheel: Path) -> frozenset[str]:
    """Return the names of a wheel's programs, as they come to ``/usr/local/bin``.

    Args:
        wheel: the file; one that cannot be read has none here: whoever unpacks it says so.
    """
    found: set[str] = set()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if script := _DATA.fullmatch(name):
                    found.add(script[1])
                elif _ENTRY_POINTS.fullmatch(name):
                    found.update(_entry_points(archive.read(name).decode(errors="replace")))
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        pass
    return frozenset(found)


def _entry_points(text: str) -> list[str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return []
    return [name.strip() for section in _SECTIONS if parser.has_section(section) for name in parser[section]]
