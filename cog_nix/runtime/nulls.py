"""Finds nulls that the model's server refuses.

The server checks with JSON Schema, which does not know ``nullable`` of OpenAPI 3.0: an optional input may be
left out, but not be null.
"""

from __future__ import annotations

from typing import Any

from cog_nix.runtime.schema import Schema, item_schema

_COMPOSITIONS = ("allOf", "anyOf", "oneOf")


def first_null(value: Any, schema: Schema | None, path: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    """Return the path of the first null, by name, that is not allowed where it stands, or None."""
    if value is None:
        return None if allows_null(schema) else path
    if not schema:
        return None
    for key, item, child in _children(value, schema):
        found = first_null(item, child, (*path, key)) if child is not None else None
        if found is not None:
            return found
    return None


def allows_null(schema: Schema | None) -> bool:
    """Whether null fits a schema when ``nullable`` does not count."""
    if not schema:
        return True
    types = schema.get("type")
    return all(
        (
            types is None or "null" in ([types] if isinstance(types, str) else types),
            not schema.get("enum") or None in schema["enum"],
            all(map(allows_null, schema.get("allOf", ()))),
            not schema.get("anyOf") or any(map(allows_null, schema["anyOf"])),
            not schema.get("oneOf") or sum(map(allows_null, schema["oneOf"])) == 1,
            "not" not in schema or not allows_null(schema["not"]),
            "const" not in schema,
        )
    )


def _children(value: Any, schema: Schema) -> list[tuple[str, Any, Schema | None]]:
    if isinstance(value, list):
        items = item_schema(schema)
        return [(str(number), item, items) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return []
    # An empty schema is one too: only None means that nothing is said about the name.
    declared = ((key, value[key], _property(schema, key)) for key in sorted(value))
    return [(key, item, child if child is not None else _additional(schema)) for key, item, child in declared]


def _property(schema: Schema, key: str) -> Schema | None:
    """Return what a schema, with what it is composed of, says about a property."""
    own = schema.get("properties", {}).get(key)
    constraints = [own] if own is not None else []
    constraints += [
        {kind: [_property(member, key) or {} for member in schema[kind]]}
        for kind in _COMPOSITIONS
        if schema.get(kind)
    ]
    if len(constraints) < 2:  # noqa: PLR2004 - wrapped without need, a schema would grow with each level
        return constraints[0] if constraints else None
    return {"allOf": constraints}


def _additional(schema: Schema) -> Schema | None:
    own = schema.get("additionalProperties")
    if isinstance(own, dict):
        return own
    kind = next((kind for kind in _COMPOSITIONS if schema.get(kind)), None)
    return {kind: [_additional(member) or {} for member in schema[kind]]} if kind else None
