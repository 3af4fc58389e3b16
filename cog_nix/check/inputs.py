"""What to send to a model nobody described: inputs made up from its own OpenAPI document.

Only required inputs are sent; everything else has a default that its author chose.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.check.case import CompatError
from cog_nix.check.result import NotApplicable
from cog_nix.runtime.media import encode_data_url, type_of
from cog_nix.runtime.schema import ApiSchema
from cog_nix.system.jsonvalue import loads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.runtime.schema import Schema

TEXT = "hello"
TRUE = frozenset({"true", "1", "yes"})


def input_schema(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of ``input``, references to other schemas (choices) filled in."""
    schema = ApiSchema(dict(document)).input_component()
    return {**schema, "properties": {name: merged(one) for name, one in schema.get("properties", {}).items()}}


def merged(schema: Schema) -> Schema:
    """Return a schema that says itself what its ``allOf`` does."""
    for one in schema.get("allOf", ()):
        schema = {**one, **schema}
    return schema


def made_up(document: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Return an input that the model should accept.

    Args:
        document: the image's OpenAPI document.
        given: values by name as text, ``@path`` for a file; these win.

    Raises:
        CompatError: a name is unknown or a value has the wrong type.
        NotApplicable: a required input cannot be made up.
    """
    schema = input_schema(document)
    properties = schema["properties"]
    unknown = sorted(set(given) - set(properties))
    if unknown:
        raise CompatError(
            f"The model has no input {unknown[0]!r}.",
            hint=f"Its inputs are {', '.join(properties) or 'none'}.",
        )
    values = {name: parse(name, text, properties[name]) for name, text in given.items()}
    for name in schema.get("required", ()):
        if name not in values:
            values[name] = invent(name, properties[name])
    return values


def parse(name: str, text: str, schema: Mapping[str, Any]) -> Any:
    """Turn what a user typed into a JSON value.

    Raises:
        CompatError: the text is no such value, or the file cannot be read.
    """
    if text.startswith("@"):
        return data_url(Path(text[1:]))
    try:
        match schema.get("type"):
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return text.lower() in TRUE
            case "array" | "object":
                return loads(text)
            case _:
                return text
    except ValueError as error:
        raise CompatError(f"{name}={text!r} is not of the type {schema['type']}: {error}") from error


def data_url(path: Path) -> str:
    """Return a file as a data URL (RFC 2397).

    Raises:
        CompatError: it cannot be read.
    """
    try:
        return encode_data_url(path.read_bytes(), type_of(path.name))
    except OSError as error:
        raise CompatError(f"{path} cannot be read: {error.strerror}") from error


def invent(name: str, schema: Mapping[str, Any]) -> Any:
    """Return some value that fits a schema.

    Raises:
        NotApplicable: no made-up value would mean anything: a file, or text of a given form.
    """
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("format") == "uri" or "pattern" in schema:
        raise NotApplicable(f"needs -i {name}=…")
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", schema.get("maximum", 1))
        case "boolean":
            return True
        case "array":
            return [invent(name, schema.get("items", {}))]
        case "object":
            return {}
        case _:
            return of_length(TEXT, schema)


def of_length(text: str, schema: Mapping[str, Any]) -> str:
    """Return a text that is repeated or cut to be as long as a schema has it."""
    least = int(schema.get("minLength", 0))
    most = int(schema.get("maxLength", max(least, len(text))))
    return (text * (least // len(text) + 1))[: max(least, min(most, len(text)))]


WRONG: Mapping[str, Any] = {
    "string": 3,
    "integer": "three",
    "number": "three",
    "boolean": "perhaps",
    "array": "one",
    "object": "one",
}
"""A value of another type for each JSON type."""


def wrong(document: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of an input, and a request in which only that input has the wrong type.

    An input with choices is passed over: a value of another type is none of them either, thus wrong twice.

    Raises:
        NotApplicable: the model has no such input whose type is declared.
    """
    for name, schema in input_schema(document)["properties"].items():
        if schema.get("type") in WRONG and "enum" not in schema:
            return name, {**right, name: WRONG[schema["type"]]}
    raise NotApplicable("has no input that could be wrong")
