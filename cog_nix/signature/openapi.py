"""From signatures to the OpenAPI 3.0.2 document that describes a model's HTTP API."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cog_nix.signature.input_types import element
from cog_nix.signature.model import UNSET, Array, Items, Mapping, OneOf, Pairs, Record, Scalar, Stream
from cog_nix.signature.syntax import STRAY_BYTE

if TYPE_CHECKING:
    from cog_nix.signature.model import Constant, Constraints, Input, Primitive, Signature, Type

Json = dict[str, Any]

_SMALLEST_PLAIN, _SMALLEST_EXPONENT = -4, 6


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
_ANY_JSON = {"description": "Successful Response", "content": {"application/json": {"schema": {}}}}
_NAMES = {
    "predict": {
        "path": "/predictions",
        "id": "prediction_id",
        "verb": "Predict",
        "noun": "prediction",
        "prefix": "Prediction",
        "input": "Input",
        "output": "Output",
    },
    "train": {
        "path": "/trainings",
        "id": "training_id",
        "verb": "Train",
        "noun": "training",
        "prefix": "Training",
        "input": "TrainingInput",
        "output": "TrainingOutput",
    },
}


def openapi(signature: Signature, version: str) -> Json:
    """Return the document for one entry point.

    Args:
        signature: what the model takes and returns.
        version: the version of Cog in the image, for ``info.version``.
    """
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": version},
        "paths": _paths(signature),
        "components": {"schemas": _components(signature)},
    }


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


def printed(value: float) -> str:
    """Return a float as Go's ``%v`` prints it: an exponent below 1e-4 and from 1e6 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    exact = Decimal(repr(value)).normalize()
    exponent = exact.adjusted() if value else 0
    if _SMALLEST_PLAIN <= exponent < _SMALLEST_EXPONENT:
        return f"{exact:f}"
    first, *rest = map(str, exact.as_tuple().digits)
    mantissa = f"{first}.{''.join(rest)}" if rest else first
    return f"{'-' if value < 0 else ''}{mantissa}e{exponent:+03d}"


def ref(name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def _components(signature: Signature) -> Ordered:
    names = _NAMES[signature.mode]
    request, response = f"{names['prefix']}Request", f"{names['prefix']}Response"
    inputs = _inputs(signature.inputs)
    components = Ordered(
        {
            names["input"]: inputs | {"title": names["input"]},
            # Cog titles the output of a training "Output" as well.
            names["output"]: _schema(signature.output) | {"title": "Output"},
        }
    )
    for given in signature.inputs:
        if given.constraints.choices:
            components[given.name] = choices_schema(given)
    components[request] = _object(request, {"id": _titled("Id"), "input": ref(names["input"])})
    components[response] = _object(response, _response_properties(names))
    components["Status"] = {
        "title": "Status",
        "description": "An enumeration.",
        "enum": ["starting", "processing", "succeeded", "canceled", "failed"],
        "type": "string",
    }
    components.update(validation_errors())
    return components


def validation_errors() -> Json:
    """Return the components that describe a refused request."""
    detail = {"title": "Detail", "type": "array", "items": ref("ValidationError")}
    return {
        "HTTPValidationError": _object("HTTPValidationError", {"detail": detail}),
        "ValidationError": _validation_error(),
    }


def _object(title: str, properties: Json) -> Json:
    return {"title": title, "type": "object", "properties": properties}


def _titled(title: str, **more: str) -> Json:
    return {"title": title, "type": "string", **more}


def _response_properties(names: dict[str, str]) -> Json:
    return {
        "input": ref(names["input"]),
        "output": ref(names["output"]),
        "id": _titled("Id"),
        "version": _titled("Version"),
        "created_at": _titled("Created At", format="date-time"),
        "started_at": _titled("Started At", format="date-time"),
        "completed_at": _titled("Completed At", format="date-time"),
        "status": _titled("Status"),
        "error": _titled("Error"),
        "logs": _titled("Logs"),
        "metrics": {"title": "Metrics", "type": "object"},
    }


def _validation_error() -> Json:
    place = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    properties = {
        "loc": {"title": "Location", "type": "array", "items": place},
        "msg": _titled("Message"),
        "type": _titled("Error Type"),
    }
    return _object("ValidationError", properties) | {"required": ["loc", "msg", "type"]}


def _paths(signature: Signature) -> Ordered:
    names = _NAMES[signature.mode]
    path, identifier, verb = names["path"], names["id"], names["verb"]
    noun = names["noun"]
    operation: Json = {
        "summary": verb,
        "description": f"Run a single {noun} on the model",
        "operationId": f"{verb.lower()}_{noun}s_post",
        "requestBody": _content(f"{names['prefix']}Request"),
        "responses": {
            "200": {"description": "Successful Response", **_content(f"{names['prefix']}Response")},
            "422": {"description": "Validation Error", **_content("HTTPValidationError")},
        },
    }
    if signature.streaming and signature.mode == "predict":
        operation["x-cog-streaming"] = True
    return Ordered(
        {
            "/": {"get": probe("Root", "root__get")},
            "/health-check": {"get": probe("Healthcheck", "healthcheck_health_check_get")},
            path: {"post": operation},
            f"{path}/{{{identifier}}}/cancel": {"post": _cancel(noun, identifier)},
        }
    )


def _content(name: str) -> Json:
    return {"content": {"application/json": {"schema": ref(name)}}}


def probe(summary: str, operation: str) -> Json:
    """Return a GET that takes nothing."""
    return {"summary": summary, "operationId": operation, "responses": {"200": _ANY_JSON}}


def _cancel(noun: str, identifier: str) -> Json:
    return {
        "summary": "Cancel",
        "operationId": f"cancel_{noun}s__{identifier}__cancel_post",
        "parameters": [
            {"required": True, "schema": _titled(title_of(identifier)), "name": identifier, "in": "path"}
        ],
        "responses": {
            "200": _ANY_JSON,
            "422": {"description": "Validation Error", **_content("HTTPValidationError")},
        },
    }


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
    return {
        "type": "object",
        "properties": properties,
        **_required([f.name for f in found.fields if f.required]),
    }


def _required(names: list[str]) -> Json:
    return {"required": names} if names else {}


def _inputs(inputs: tuple[Input, ...]) -> Json:
    properties = Ordered({given.name: _property(given) for given in inputs})
    return {
        "type": "object",
        "properties": properties,
        **_required([given.name for given in inputs if _is_required(given)]),
    }


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
