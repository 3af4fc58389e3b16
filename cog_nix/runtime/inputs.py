"""The inputs of a prediction as they stand on the command line, and as the model gets them.

Two ways lead here: ``-i name=value`` (repeated names make a list, ``@path`` sends a file) and one JSON object
(``--json``). Reading is apart from preparing, because the text can be read before the model's schema is
known.

A shell knows only strings. What a string becomes follows the input's schema alone; a string that does not fit
stays a string, so that the check afterwards can say what is wrong with it.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.files import FileProblem, expand_home, read_file
from cog_nix.runtime.jsontext import parse_json, type_name, whole, without_surrogates
from cog_nix.runtime.media import encode_data_url, type_of
from cog_nix.runtime.schema import accepts, item_schema, main_type
from cog_nix.runtime.validation import check_inputs, check_names, satisfies
from cog_nix.runtime.wording import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.runtime.schema import ApiSchema, Schema

STDIN = "-"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DIGITS = "[0-9]+(?:_[0-9]+)*"
_NUMBER = re.compile(rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_LONGEST = 308
"""Characters of a number: an integer of so many digits is still within the range of a float."""

_INT32 = 2**31
_FLOAT32 = 2**128 - 2**103
"""From here on a number does not round to a 32 bit float."""
_JSON_HINT = '--json takes an object: --json \'{"name": "value"}\''


class UnreadableInputError(RuntimeFailure):
    """What was given as inputs cannot be read.

    Args:
        problem: in upstream's words.
        name: the input's; empty: all of them, or the flags themselves.
        hint: what to do next.
    """

    def __init__(self, problem: str, name: str = "", *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.problem, self.name = problem, name

    def __str__(self) -> str:
        return f"input {quote(self.name)}: {self.problem}" if self.name else self.problem


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
        raise UnreadableInputError("Must use one of --json or --input to provide model inputs")
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
            raise UnreadableInputError(f"Failed to parse input '{flag}', expected format is 'name=value'")
        quoted = len(value) > 1 and value.startswith('"') and value.endswith('"')
        values.setdefault(without_surrogates(name), []).append(value[1:-1] if quoted else value)
    return values


def _read_json(text: str) -> dict[str, Any]:
    if text in (STDIN, f"@{STDIN}"):
        text = _read_stdin()
    elif text.startswith("@"):
        source = text[1:]
        try:
            text = read_file(source).decode("utf-8", "replace")
        except FileProblem as error:
            raise UnreadableInputError(f"Failed to read JSON from file {quote(source)}: {error}") from error
    try:
        inputs = parse_json(text)
    except ValueError as error:
        raise UnreadableInputError(f"Failed to parse JSON: {error}", hint=_JSON_HINT) from error
    if inputs is None:
        return {}
    if not isinstance(inputs, dict):
        raise UnreadableInputError(
            f"Failed to parse JSON: expected object, got {type_name(inputs)}", hint=_JSON_HINT
        )
    return inputs


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    except (OSError, AttributeError) as error:  # a process without standard input has None there
        raise UnreadableInputError(f"Failed to read JSON from stdin: {error}") from error


def _from_flags(flags: dict[str, list[str]], component: Schema) -> dict[str, Any]:
    properties = component.get("properties", {})
    inputs: dict[str, Any] = {}
    for name, values in flags.items():
        schema = properties.get(name)
        if len(values) > 1:
            items = [_coerce_scalar(value, item_schema(schema)) for value in values]
            inputs[name] = [_flag_with_file(name, value) for value in items]
        elif values[0].startswith("@"):
            inputs[name] = _flag_with_file(name, values[0])
        else:
            inputs[name] = _coerce(name, without_surrogates(values[0]), schema)
    return inputs


def _flag_with_file(name: str, value: Any) -> Any:
    """Replace ``@path`` by the file's content as a data URL; ``~`` is the home folder, as in a shell."""
    if not isinstance(value, str) or not value.startswith("@"):
        return without_surrogates(value) if isinstance(value, str) else value
    try:
        path = expand_home(value[1:])
    except FileProblem as error:
        raise UnreadableInputError(f"error expanding homedir for '{value[1:]}': {error}", name) from error
    try:
        return encode_data_url(read_file(path), type_of(path))
    except FileProblem as error:
        raise UnreadableInputError(str(error), name) from error


def _from_json(given: dict[str, Any]) -> dict[str, Any]:
    inputs = dict(given)
    for name, value in given.items():
        if isinstance(value, str) and value.startswith("@"):
            path = value[1:]
            try:
                inputs[name] = encode_data_url(read_file(path), type_of(path))
            except FileProblem as error:
                raise UnreadableInputError(f"failed to read file {quote(path)}: {error}", name) from error
    return inputs


def _coerce(name: str, text: str, schema: Schema | None) -> Any:
    """Return the value of an input that was given once.

    Raises:
        RuntimeFailure: the input is an object and the text is not JSON.
    """
    kind = main_type(schema) if schema else None
    if schema and kind == "object":
        return _coerce_object(name, text, schema)
    if schema and kind == "array":
        return _coerce_array(text, schema)
    return _coerce_scalar(text, schema)


def _coerce_scalar(text: str, schema: Schema | None) -> Any:
    """Return a boolean, integer or float where the schema takes one and it is one, otherwise the text."""
    if not schema:
        return text
    for candidate in _candidates(text, schema):
        # `choices` of strings like "1": a number is right only when the schema really takes it.
        if not accepts(schema, "string") or satisfies(candidate, schema):
            return candidate
    return text


def _candidates(text: str, schema: Schema) -> Iterator[bool | int | float]:
    if text in ("true", "false") and accepts(schema, "boolean"):
        yield text == "true"
    if len(text) > _LONGEST:
        return
    # Upstream reads 32 bit integers and floats. A larger number is one here too, unless it can be text.
    narrow = accepts(schema, "string")
    if _INTEGER.fullmatch(text) and accepts(schema, "integer", "number"):
        number = int(text)
        if not narrow or -_INT32 <= number < _INT32:
            yield number
    if _NUMBER.fullmatch(text) and accepts(schema, "number"):
        value = float(text)
        if abs(value) < (_FLOAT32 if narrow else math.inf):
            yield whole(value)


def _coerce_object(name: str, text: str, schema: Schema) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        if accepts(schema, "string"):
            return text
        raise UnreadableInputError(
            f"invalid input {quote(name)}: expected a JSON object: {error}",
            hint=f"Quote the JSON for your shell, for example: -i {name}='{{\"key\": 1}}'",
        ) from error


def _coerce_array(text: str, schema: Schema) -> Any:
    try:
        parsed = parse_json(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, list):
        return parsed
    takes_string = accepts(schema, "string")
    if takes_string and satisfies(text, schema):
        return text
    single = [_coerce_scalar(text, item_schema(schema))]
    return text if takes_string and not satisfies(single, schema) else single
