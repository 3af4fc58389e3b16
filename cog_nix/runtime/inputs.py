"""The inputs of a prediction as they stand on the command line, and as the model gets them.

Two ways lead here: ``-i name=value`` (repeated names make a list, ``@path`` sends a file) and one JSON object
(``--json``). Reading is apart from preparing, because the text can be read before the model's schema is
known.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.coercion import coerce, coerce_items
from cog_nix.runtime.files import FileProblem, expand_home, read_file
from cog_nix.runtime.jsontext import mend_text, parse_json, type_name, whole
from cog_nix.runtime.media import encode_data_url, type_of
from cog_nix.runtime.validation import check_inputs, check_names
from cog_nix.runtime.wording import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.runtime.schema import ApiSchema, Schema

STDIN = "-"
_JSON_HINT = '--json takes an object: --json \'{"name": "value"}\''


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
    inputs = _from_flags(given.flags, component) if given.json is None else _from_json(whole(given.json))
    check_inputs(inputs, component)
    return inputs


def _read_flags(flags: Sequence[str]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for flag in flags:
        name, equals, value = flag.partition("=")
        if not equals:
            raise RuntimeFailure(f"Failed to parse input '{flag}', expected format is 'name=value'")
        quoted = len(value) > 1 and value.startswith('"') and value.endswith('"')
        values.setdefault(mend_text(name), []).append(value[1:-1] if quoted else value)
    return values


def _read_json(text: str) -> dict[str, Any]:
    if text in (STDIN, f"@{STDIN}"):
        text = _read_stdin()
    elif text.startswith("@"):
        source = text[1:]
        try:
            text = read_file(source).decode("utf-8", "replace")
        except FileProblem as error:
            raise RuntimeFailure(f"Failed to read JSON from file {quote(source)}: {error}") from error
    try:
        inputs = parse_json(text)
    except ValueError as error:
        raise RuntimeFailure(f"Failed to parse JSON: {error}", hint=_JSON_HINT) from error
    if inputs is None:
        return {}
    if not isinstance(inputs, dict):
        raise RuntimeFailure(
            f"Failed to parse JSON: expected object, got {type_name(inputs)}", hint=_JSON_HINT
        )
    return inputs


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    except (OSError, AttributeError) as error:  # a process without standard input has None there
        raise RuntimeFailure(f"Failed to read JSON from stdin: {error}") from error


def _from_flags(flags: dict[str, list[str]], component: Schema) -> dict[str, Any]:
    properties = component.get("properties", {})
    inputs: dict[str, Any] = {}
    for name, values in flags.items():
        schema = properties.get(name)
        if len(values) > 1:
            inputs[name] = [_flag_with_file(name, value) for value in coerce_items(values, schema)]
        elif values[0].startswith("@"):
            inputs[name] = _flag_with_file(name, values[0])
        else:
            inputs[name] = coerce(name, mend_text(values[0]), schema)
    return inputs


def _flag_with_file(name: str, value: Any) -> Any:
    """Replace ``@path`` by the file's content as a data URL; ``~`` is the home folder, as in a shell."""
    if not isinstance(value, str) or not value.startswith("@"):
        return mend_text(value) if isinstance(value, str) else value
    try:
        path = expand_home(value[1:])
    except FileProblem as error:
        raise RuntimeFailure(
            f"input {quote(name)}: error expanding homedir for '{value[1:]}': {error}"
        ) from error
    try:
        return encode_data_url(read_file(path), type_of(path))
    except FileProblem as error:
        raise RuntimeFailure(f"input {quote(name)}: {error}") from error


def _from_json(given: dict[str, Any]) -> dict[str, Any]:
    inputs = dict(given)
    for name, value in given.items():
        if isinstance(value, str) and value.startswith("@"):
            path = value[1:]
            try:
                inputs[name] = encode_data_url(read_file(path), type_of(path))
            except FileProblem as error:
                raise RuntimeFailure(
                    f"input {quote(name)}: failed to read file {quote(path)}: {error}"
                ) from error
    return inputs
