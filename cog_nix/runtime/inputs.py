"""The inputs of a prediction as they stand on the command line, and as the model gets them.

Two ways lead here: ``-i name=value`` (repeated names make a list, ``@path`` sends a file) and one JSON object
(``--json``). Reading is apart from preparing, because the text can be read before the model's schema is
known.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.coercion import coerce, coerce_items
from cog_nix.runtime.media import encode_data_url, type_of
from cog_nix.runtime.validation import check_inputs, check_names, quote, type_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.runtime.schema import ApiSchema, Schema

STDIN = "-"


@dataclass(frozen=True)
class GivenInputs:
    """Inputs as given: either flags, by name, or a JSON object."""

    flags: dict[str, list[str]]
    json: dict[str, Any] | None = None
    """None when no ``--json`` was given."""


def read_inputs(flags: Sequence[str], json_text: str = "") -> GivenInputs:
    """Read ``-i`` flags or ``--json``.

    Args:
        flags: ``name=value`` strings.
        json_text: a JSON object, ``@path`` of a file with one, ``@-`` or ``-`` for standard input; empty: not
            given.

    Raises:
        RuntimeFailure: both are given, a flag has no ``=``, or the JSON cannot be read.
    """
    if json_text and flags:
        raise RuntimeFailure("Must use one of --json or --input to provide model inputs")
    return GivenInputs({}, _read_json(json_text)) if json_text else GivenInputs(_read_flags(flags))


def prepare_inputs(given: GivenInputs, schema: ApiSchema, *, train: bool = False) -> dict[str, Any]:
    """Return the inputs as the model's HTTP API takes them, checked against its schema.

    Raises:
        RuntimeFailure: an input is unknown, missing or wrong, or a file cannot be read.
    """
    component = schema.input_component(train=train)
    # Names first: a typo should not wait for a large file to be read.
    check_names(given.flags if given.json is None else given.json, component)
    inputs = _from_flags(given.flags, component) if given.json is None else _from_json(given.json)
    check_inputs(inputs, component)
    return inputs


def _read_flags(flags: Sequence[str]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for flag in flags:
        name, equals, value = flag.partition("=")
        if not equals:
            raise RuntimeFailure(f"Failed to parse input '{flag}', expected format is 'name=value'")
        quoted = len(value) > 1 and value.startswith('"') and value.endswith('"')
        values.setdefault(name, []).append(value[1:-1] if quoted else value)
    return values


def _read_json(text: str) -> dict[str, Any]:
    source = text.removeprefix("@") if text.startswith("@") else (STDIN if text == STDIN else None)
    if source == STDIN:
        text = sys.stdin.read()
    elif source is not None:
        try:
            text = Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = f"open {source}: {_why(error)}"
            raise RuntimeFailure(f"Failed to read JSON from file {quote(source)}: {why}") from error
    try:
        inputs = json.loads(text)
    except ValueError as error:
        raise RuntimeFailure(
            f"Failed to parse JSON: {error}", hint='--json takes an object: --json \'{"name": "value"}\''
        ) from error
    if inputs is None:
        return {}
    if not isinstance(inputs, dict):
        raise RuntimeFailure(f"Failed to parse JSON: expected object, got {type_name(inputs)}")
    return inputs


def _from_flags(flags: dict[str, list[str]], component: Schema) -> dict[str, Any]:
    properties = component.get("properties", {})
    inputs: dict[str, Any] = {}
    for name, values in flags.items():
        schema = properties.get(name)
        if len(values) > 1:
            inputs[name] = [_with_file(name, value) for value in coerce_items(values, schema)]
        elif values[0].startswith("@"):
            inputs[name] = _with_file(name, values[0])
        else:
            inputs[name] = coerce(name, values[0], schema)
    return inputs


def _from_json(given: dict[str, Any]) -> dict[str, Any]:
    return {name: _with_file(name, value) for name, value in given.items()}


def _with_file(name: str, value: Any) -> Any:
    """Replace ``@path`` by the file's content as a data URL."""
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    path = value[1:]
    try:
        content = Path(path).expanduser().read_bytes()
    except (OSError, RuntimeError) as error:
        raise RuntimeFailure(f"input {quote(name)}: open {path}: {_why(error)}") from error
    return encode_data_url(content, type_of(path))


def _why(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror).lower() if strerror else str(error)
