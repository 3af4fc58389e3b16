"""From signatures to the OpenAPI 3.0.2 document that describes a model's HTTP API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.signature.input_types import element
from cog_nix.signature.model import UNSET, Array, Items, Mapping, OneOf, Pairs, Record, Scalar, Stream
from cog_nix.signature.syntax import STRAY_BYTE
from cog_nix.system.golang import printed

if TYPE_CHECKING:
    from cog_nix.signature.model import Constant, Constraints, Input, Mode, Primitive, Signature, Type

Json = dict[str, Any]


class Ordered(dict[str, Any]):
    """An object whose keys stay as they are; every other object is written with sorted keys."""


SCALARS: dict[Primitive, Json] = {
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "str": {"type": "string"},
    "Path": {"type": "string", "format": "uri"},
    "File": {"type": "string", "format": "uri"},
    "Secret": {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True},
    "Any": {"type": "object"},
    "dict": {"type": "object"},
}


def openapi(signature: Signature, version: str) -> Json:
    """Return the document for one entry point.

    Args:
        signature: what the model takes and returns.
        version: the version of Cog in the image, for ``info.version``.
    """
    title = "Input" if signature.mode == "predict" else "TrainingInput"
    rest = _rest(signature.mode)
    if signature.streaming and signature.mode == "predict":
        rest["paths"]["/predictions"]["post"]["x-cog-streaming"] = True
    schemas = {
        title: _inputs(signature.inputs) | {"title": title},
        # Cog titles the output of a training "Output" as well.
        title.replace("Input", "Output"): _schema(signature.output) | {"title": "Output"},
        **{given.name: choices_schema(given) for given in signature.inputs if given.constraints.choices},
    }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": version},
        "paths": Ordered(rest["paths"]),
        "components": {"schemas": Ordered(schemas | rest["schemas"])},
    }


def _rest(mode: Mode) -> Json:
    """Return what documents have beside inputs and output."""
    text = Path(__file__).with_name("openapi.json").read_text("utf-8")
    is_predict = mode == "predict"
    verb, noun = ("Predict", "Prediction") if is_predict else ("Train", "Training")
    names = {"@Verb": verb, "@verb": verb.lower(), "@Noun": noun, "@noun": noun.lower()}
    # What is left is in front of Input and Output.
    for placeholder, name in {**names, "@": "" if is_predict else noun}.items():
        text = text.replace(placeholder, name)
    found: Json = json.loads(text)
    return found


def merged(predict: Json, train: Json) -> Json:
    """Return the document of a model with both entry points; where the two collide, the first one wins."""
    schemas = {**train["components"]["schemas"], **predict["components"]["schemas"]}
    return {**predict, "paths": {**train["paths"], **predict["paths"]}, "components": {"schemas": schemas}}


def json_value(value: Constant) -> Any:
    """Return a constant as plain JSON data."""
    if isinstance(value, Items):
        return [json_value(item) for item in value.values]
    if isinstance(value, Pairs):
        return {_key(key): json_value(item) for key, item in zip(value.keys, value.values, strict=True)}
    return value


def _key(key: Constant) -> str:
    """Return a dict key as Go's ``%v`` prints it, which is how Cog turns one into text."""
    if isinstance(key, Items):
        return f"[{' '.join(map(_key, key.values))}]"
    if isinstance(key, bool):
        return str(key).lower()
    if key is None:
        return "<nil>"
    if isinstance(key, float):
        return printed(key)
    return str(key)


def ref(name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def title_of(name: str) -> str:
    """Return ``Some Name`` for ``some_name``."""
    return " ".join(map(_capitalised, name.split("_")))


def _capitalised(word: str) -> str:
    """Return a word with its first byte in upper case; outside ASCII that is no letter, as in Cog."""
    first, rest = word[:1], word[1:]
    if first.isascii():
        return first.upper() + rest
    return "\ufffd" + STRAY_BYTE * (len(first.encode()) - 1) + rest


def _schema(found: Type) -> Json:
    schema = _core(found)
    if found.nullable:
        schema["nullable"] = True
    return schema


def _core(found: Type) -> Json:
    match found:
        case Scalar():
            return dict(SCALARS[found.name])
        case Array():
            return {"type": "array", "items": _schema(found.items)}
        case OneOf():
            nullable = {"nullable": True} if found.nullable else {}
            return {"anyOf": [_schema(variant) | nullable for variant in found.variants]}
        case Mapping():
            return {"type": "object", "additionalProperties": _schema(found.values)}
        case Record():
            return _record(found)
        case Stream():
            shown = {"x-cog-array-display": "concatenate"} if found.concatenate else {}
            return {"type": "array", "items": _schema(found.items), "x-cog-array-type": "iterator", **shown}


def _record(found: Record) -> Json:
    properties = Ordered(
        {field.name: _schema(field.type) | {"title": title_of(field.name)} for field in found.fields},
    )
    return _object(properties, [field.name for field in found.fields if field.required])


def _inputs(inputs: tuple[Input, ...]) -> Json:
    properties = Ordered({given.name: _property(given) for given in inputs})
    return _object(properties, [given.name for given in inputs if _is_required(given)])


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def input_schema(given: Input) -> tuple[Json, Json | None]:
    """Return the schema of one input, and that of its choices when it has some."""
    return _property(given), choices_schema(given) if given.constraints.choices else None


def choices_schema(given: Input) -> Json:
    """Return the component that lists the choices of an input."""
    return {
        "title": given.name,
        "description": "An enumeration.",
        "enum": [json_value(choice) for choice in given.constraints.choices],
        "type": SCALARS[element(given.type)]["type"],
    }


def _is_nullable(given: Input) -> bool:
    """Tell whether null may be sent. ``Secret = None`` says so too; other types with that default do not."""
    return given.type.nullable or (given.constraints.default is None and given.type == Scalar("Secret"))


def _has_default(given: Input) -> bool:
    """Tell whether there is a default that a client can see; None on a type without null is none."""
    default = given.constraints.default
    return default is not UNSET and (default is not None or _is_nullable(given))


def _is_required(given: Input) -> bool:
    return not _has_default(given) and (not given.type.nullable or isinstance(given.type, OneOf))


def _property(given: Input) -> Json:
    said = given.constraints
    found: Json = {"x-order": given.order}
    if said.choices:
        found["allOf"] = [ref(given.name)]
    else:
        found |= {"title": title_of(given.name), **_schema(given.type)}
    if said.default is not UNSET and _has_default(given):
        found["default"] = json_value(said.default)
    if _is_nullable(given):
        found["nullable"] = True
    if said.deprecated:
        found["deprecated"] = True
    return found | limits(said)


def limits(said: Constraints) -> Json:
    """Return the arguments of ``Input(...)`` that go into a schema as they are."""
    optional = {
        "description": said.description,
        "minimum": said.ge,
        "maximum": said.le,
        "minLength": said.min_length,
        "maxLength": said.max_length,
        "pattern": said.regex,
        "x-cog-accept": said.accept,
    }
    return {key: value for key, value in optional.items() if value is not None}
