"""What cog-nix.toml may say: keys, each with what it takes, and the tables that they stand in.

Plugins declare tables of their own with these (the hook ``declare_settings``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.config.requirements import normalised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

URL = r"(https?|file)://\S+"


@dataclass(frozen=True)
class Setting:
    """One key of a table."""

    example: str
    must: str
    """What a value must be."""
    fits: Callable[[Any], Any]
    read: Callable[[Any], Any] = lambda value: value
    """What becomes of one that fits."""


@dataclass(frozen=True)
class SettingsTable:
    """A table of cog-nix.toml."""

    name: str
    kind: type
    """What it becomes: a frozen dataclass with a default for each key."""
    keys: Mapping[str, Setting]


def text(example: str, must: str, pattern: str) -> Setting:
    """Return a key that takes text; the pattern is that of all of it."""
    return Setting(
        example, must, lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII)
    )


def url(example: str) -> Setting:
    """Return a key that takes a URL to download from."""
    return text(example, "a URL that begins with http://, https:// or file://", URL)


def switch(example: str) -> Setting:
    """Return a key that takes true or false."""
    return Setting(example, "true or false", lambda value: isinstance(value, bool))


def number(example: str, must: str, least: int, most: int = 1 << 62) -> Setting:
    """Return a key that takes a whole number in a range."""
    return Setting(
        example,
        must,
        lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most,
    )


def names(example: str, must: str, read: Callable[[str], str] = str.strip) -> Setting:
    """Return a key that takes a list of names, each read by itself."""
    return Setting(example, must, are_names, lambda value: tuple(map(read, value)))


def are_names(value: Any) -> bool:
    """Tell whether it is a list of text that is not empty."""
    return isinstance(value, list) and all(isinstance(name, str) and name.strip() for name in value)


def matching(example: str, must: str, pattern: str) -> Setting:
    """Return a key that takes a list of text, each of which matches the pattern."""

    def fits(value: Any) -> bool:
        return are_names(value) and all(re.fullmatch(pattern, one.strip()) for one in value)

    return Setting(example, must, fits, lambda value: tuple(map(str.strip, value)))


def packages(example: str) -> Setting:
    """Return a key that takes a list of Python packages, whose names are normalised (PEP 503)."""
    return names(example, "a list of package names", normalised)
