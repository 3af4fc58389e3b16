"""The schema of cog.yaml (``schema.json``), and what its parts say of a value."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def schema() -> dict[str, Any]:
    """Return the JSON schema of cog.yaml."""
    loaded: dict[str, Any] = json.loads(schema_text())
    return loaded


@cache
def schema_text() -> str:
    """Return the file that :func:`schema` reads."""
    return Path(__file__).with_name("schema.json").read_text("utf-8")


def resolve(fragment: dict[str, Any]) -> dict[str, Any]:
    """Follow a ``$ref`` within the schema."""
    reference = fragment.get("$ref")
    if not reference:
        return fragment
    target: dict[str, Any] = schema()["$defs"][reference.rpartition("/")[2]]
    return target


def alternatives(fragment: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the forms that a value may have."""
    fragment = resolve(fragment)
    return [resolve(option) for option in fragment.get("anyOf", [fragment])]


def types(fragment: dict[str, Any]) -> tuple[str, ...]:
    """Return the JSON types that a part of the schema allows."""
    declared = fragment.get("type", ())
    return (declared,) if isinstance(declared, str) else tuple(declared)


@cache
def keys() -> dict[str, bool]:
    """Return all keys of cog.yaml, at whatever depth, and whether keys of their own stand below them."""
    return dict(_keys(schema()))


def _keys(fragment: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    for name, below in fragment.get("properties", {}).items():
        yield name, "properties" in below
        yield from _keys(below)
