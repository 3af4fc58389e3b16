"""The OpenAPI document as the SDKs before 0.17 have it, for Pythons that Cog has given up.

Their server writes the document itself, from pydantic's models, and serves it at ``/openapi.json``. This is
the same document, as those SDKs write it with pydantic 2. Between pydantic's releases, and with pydantic 1,
only titles, ``nullable`` and ``additionalProperties: true`` differ, and how a reference is wrapped. Recorded
from the SDKs: tests/signature/legacy.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.signature.model import UNSET, Array, Mapping, OneOf, Record, Scalar, Stream
from cog_nix.signature.openapi import (
    SCALARS,
    Ordered,
    choices_schema,
    json_value,
    limits,
    ref,
    title_of,
)
from cog_nix.signature.refusal import RefusalError
from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cog_nix.signature.model import Field, Input, Mode, Signature, Type

Json = dict[str, Any]

_FIRST_OF_TODAY = (0, 17)
_FIRST_WITH_NULL = (0, 12)
"""Releases before it say nothing about null, and take no ``Optional`` input."""
_VERSION_OF_DOCUMENT = "0.1.0"
"""What those SDKs write, whatever their own version is."""
_NAMES: dict[Mode, tuple[str, str]] = {
    "predict": ("Input", "Output"),
    "train": ("TrainingInput", "TrainingOutput"),
}


def is_legacy(version: str) -> bool:
    """Return whether a release of the SDK writes its document itself; "" stands for the one of today."""
    return bool(version) and _numbers(version) < _FIRST_OF_TODAY


def document(signatures: Iterable[Signature], version: str) -> Json:
    """Return the document of a model with one or both entry points.

    Args:
        signatures: what the entry points take and return.
        version: of the SDK, one that :func:`is_legacy`.

    Raises:
        RefusalError: the SDK does not take such an input.
    """
    return _Writer(knows_null=_numbers(version) >= _FIRST_WITH_NULL, version=version).document(signatures)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


@frozen
class _Writer:
    """Writes for one release.

    Args:
        knows_null: whether ``nullable`` is written.
        version: of the release, for messages.
    """

    knows_null: bool
    version: str

    def document(self, signatures: Iterable[Signature]) -> Json:
        known: Json = json.loads(Path(__file__).with_name("legacy.json").read_text("utf-8"))
        paths, schemas = known["every"]["paths"], known["every"]["schemas"]
        for signature in signatures:
            rest = known[signature.mode] if self.knows_null else _older(known[signature.mode])
            paths |= rest["paths"]
            schemas |= rest["schemas"] | self._schemas(signature)
        return {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": _VERSION_OF_DOCUMENT},
            "paths": paths,
            "components": {"schemas": schemas},
        }

    def _null(self, schema: Json) -> Json:
        return {**schema, "nullable": True} if self.knows_null else schema

    def _schemas(self, signature: Signature) -> Json:
        inputs, output = _NAMES[signature.mode]
        found: Json = {
            inputs: self._inputs(signature, inputs),
            output: self._output(signature.output, output),
        }
        for given in signature.inputs:
            if given.constraints.choices:
                found[given.name] = choices_schema(given)
        records = _records(signature.output)
        if isinstance(signature.output, Record) and signature.output.name in {"Output", "TrainingOutput"}:
            records.pop(signature.output.name)
        return {**{name: self._record(record, name) for name, record in records.items()}, **found}

    def _inputs(self, signature: Signature, title: str) -> Json:
        properties = Ordered({given.name: self._input(given, signature.mode) for given in signature.inputs})
        required = [
            given.name
            for given in signature.inputs
            if given.constraints.default is UNSET and not given.type.nullable
        ]
        return _object(title, properties) | ({"required": required} if required else {})

    def _input(self, given: Input, mode: Mode) -> Json:
        said = given.constraints
        self._check(given)
        found: Json = {"x-order": given.order}
        if said.choices:
            reference = ref(given.name)
            found |= reference if mode == "train" and self.knows_null else {"allOf": [reference]}
        else:
            found |= {"title": title_of(given.name), **self._shape(given.type)}
        if given.type.nullable:
            found = self._null(found)
        if said.default is not UNSET and said.default is not None:
            found["default"] = json_value(said.default)
        if said.deprecated:
            found["deprecated"] = True
        return found | limits(said)

    def _check(self, given: Input) -> None:
        """Refuse what the SDK refuses when it starts.

        Raises:
            RefusalError: it does.
        """
        said, cog = given.constraints, f"cog {self.version}"
        choosable = given.type in {Scalar("str"), Scalar("int")}
        refused = (
            (said.accept is not None, f"Input() of {cog} has no accept=", "Leave accept= away."),
            (
                said.deprecated and not self.knows_null,
                f"Input() of {cog} has no deprecated=",
                "Leave deprecated= away.",
            ),
            (
                bool(said.choices) and not choosable,
                f"choices are for str and int in {cog}",
                "Make it one of them, and convert it in predict().",
            ),
            (
                given.type.nullable and not self.knows_null,
                f"{cog} takes no Optional input",
                "Write the plain type with Input(default=None).",
            ),
            (
                Scalar("Any") in _parts(given.type),
                f"{cog} takes no dict and no Any",
                "Take a str with JSON in it, and read it in predict().",
            ),
        )
        for is_so, what, fix in refused:
            if is_so:
                raise RefusalError(f"parameter '{given.name}': {what}", fix)

    def _output(self, found: Type, title: str) -> Json:
        if not isinstance(found, Record):
            schema = {"title": title, **self._shape(found)}
        elif found.name in {"Output", "TrainingOutput"}:
            return self._record(found, title)
        elif self.knows_null:
            schema = ref(found.name)
        else:
            schema = {"allOf": [ref(found.name)], "title": title}
        return self._null(schema) if found.nullable else schema

    def _record(self, record: Record, title: str) -> Json:
        properties = Ordered({field.name: self._field(field) for field in record.fields})
        required = [field.name for field in record.fields if self._is_required(field)]
        described = {"description": record.description} if record.description else {}
        return _object(title, properties) | described | ({"required": required} if required else {})

    def _is_required(self, field: Field) -> bool:
        if self.knows_null or not field.type.nullable:
            return field.required
        return field.default is UNSET

    def _field(self, field: Field) -> Json:
        schema = self._shape(field.type)
        if "$ref" not in schema:
            schema["title"] = title_of(field.name)
        if field.default is not UNSET and field.default is not None:
            schema["default"] = json_value(field.default)
        return self._null(schema) if field.type.nullable else schema

    def _shape(self, found: Type) -> Json:  # noqa: PLR0911 - one a kind
        match found:
            case Scalar(name="Any"):
                return {}
            case Scalar():
                return dict(SCALARS[found.name])
            case Array():
                return {"type": "array", "items": self._shape(found.items)}
            case OneOf():
                return {"anyOf": [self._shape(variant) for variant in found.variants]}
            case Mapping():
                values = self._shape(found.values)
                return {"type": "object", **({"additionalProperties": values} if values else {})}
            case Record():
                return ref(found.name)
            case Stream():
                shown = {"x-cog-array-display": "concatenate"} if found.concatenate else {}
                items = self._shape(found.items)
                return {"type": "array", "items": items, "x-cog-array-type": "iterator", **shown}


def _parts(found: Type) -> Iterable[Type]:
    yield found
    if isinstance(found, Array):
        yield from _parts(found.items)
    if isinstance(found, OneOf):
        for variant in found.variants:
            yield from _parts(variant)


def _records(found: Type) -> dict[str, Record]:
    """Return the records that a type is made of, by name."""
    match found:
        case Record():
            inner = [_records(field.type) for field in found.fields]
            return {found.name: found, **{name: one for each in inner for name, one in each.items()}}
        case Array() | Stream():
            return _records(found.items)
        case Mapping():
            return _records(found.values)
        case _:
            return {}


def _older(rest: Json) -> Json:
    """Return what a document has beside inputs and output, without null: as older releases wrote it."""
    schemas = {
        name: _object(
            name,
            {
                key: {word: value for word, value in schema.items() if word != "nullable"}
                for key, schema in found["properties"].items()
                if key != "context"
            },
        )
        for name, found in rest["schemas"].items()
    }
    if "/trainings" in rest["paths"]:
        for place, title in (("/trainings", "Request"), ("/trainings/{training_id}", "Training Request")):
            (operation,) = rest["paths"][place].values()
            body = operation["requestBody"]["content"]["application/json"]
            body["schema"] = {"allOf": [body["schema"]], "title": title}
    return {"paths": rest["paths"], "schemas": schemas}


def _object(title: str, properties: Json) -> Json:
    return {"title": title, "type": "object", "properties": properties}
