"""The model's OpenAPI document, as far as inputs and outputs need it.

The document is OpenAPI 3.0 (https://spec.openapis.org/oas/v3.0.3). References are expanded where they stand,
so the rest of the runtime sees plain JSON schemas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_PARTS = 100_000
_DEEPEST = 100
"""A model of a thousand inputs has some ten thousand parts, a dozen deep."""

Schema = dict[str, Any]
"""One JSON schema without references."""


class UnusableSchemaError(RuntimeFailure):
    """A model's OpenAPI document is damaged, or lacks what a prediction needs.

    Args:
        problem: in upstream's words.
    """

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


@dataclass(frozen=True)
class ApiSchema:
    """An OpenAPI document of a Cog model."""

    document: dict[str, Any]

    @classmethod
    def parse(cls, text: str | bytes) -> ApiSchema:
        """Read a document from JSON.

        Raises:
            RuntimeFailure: it is not a JSON object.
        """
        try:
            document = jsonvalue.loads(text)
        except ValueError as error:
            raise UnusableSchemaError(f"Failed to load model schema JSON: {error}") from error
        if not isinstance(document, dict):
            raise UnusableSchemaError("Failed to load model schema JSON: it is not an object")
        return cls(document)

    def has_inputs(self, *, train: bool = False) -> bool:
        """Whether inputs can be checked against this document before the model runs."""
        try:
            return "properties" in self.input_component(train=train)
        except RuntimeFailure:
            return False

    def input_component(self, *, train: bool = False) -> Schema:
        """Return the schema of the inputs.

        Args:
            train: the inputs of a training; documents without any fall back to those of a prediction.

        Raises:
            RuntimeFailure: the document has no such component.
        """
        components = self.document.get("components")
        if not isinstance(components, dict):
            raise UnusableSchemaError("OpenAPI schema is missing components")
        schemas = jsonvalue.members(components.get("schemas"))
        for name in ("TrainingInput", "Input") if train else ("Input",):
            if isinstance(schemas.get(name), dict):
                return well_formed(self.expand(schemas[name]))
        wanted = "TrainingInput or Input component" if train else "Input component"
        raise UnusableSchemaError(f"OpenAPI schema is missing {wanted}")

    def output(self, *, train: bool = False) -> Schema:
        """Return the schema of what a prediction (or training) answers.

        Raises:
            RuntimeFailure: the document does not say.
        """
        path = "/trainings" if train else "/predictions"
        node: Any = self.document
        for key in ("paths", path, "post", "responses", "200", "content", "application/json", "schema"):
            node = jsonvalue.members(node).get(key, {})
        output = well_formed(self.expand(node)).get("properties", {}).get("output")
        if output is None:
            raise UnusableSchemaError(f"invalid OpenAPI schema: missing output definition for {path}")
        found: Schema = output
        return found

    def expand(self, schema: Any) -> Any:
        """Return ``schema`` with every reference replaced by what it points to.

        A reference inside itself (Cog writes none) becomes the schema that allows anything.

        Raises:
            RuntimeFailure: a reference points to nothing, or all of it is larger or deeper than any model's.
        """
        return self._expanded(schema, (), iter(range(_MOST_PARTS)), _DEEPEST)

    def _expanded(self, schema: Any, within: tuple[str, ...], budget: Iterator[int], depth: int) -> Any:
        if next(budget, None) is None or not depth:
            raise UnusableSchemaError("Model schema is invalid: it is too large, or nested too deep")
        if isinstance(schema, list):
            return [self._expanded(item, within, budget, depth - 1) for item in schema]
        if not isinstance(schema, dict):
            return schema
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return {key: self._expanded(value, within, budget, depth - 1) for key, value in schema.items()}
        if reference in within:
            return {}
        return self._expanded(self._look_up(reference), (*within, reference), budget, depth - 1)

    def _look_up(self, reference: str) -> Any:
        node: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")  # RFC 6901, section 4
            if not isinstance(node, dict) or key not in node:
                raise UnusableSchemaError(f"Model schema is invalid: {reference} points to nothing")
            node = node[key]
        return node


def well_formed(schema: Any) -> Schema:
    """Return a schema without what OpenAPI does not allow in its place, which would say nothing.

    Args:
        schema: without references.
    """
    known = jsonvalue.members(schema).items()
    return {key: _PARTS.get(key, _as_it_is)(value) for key, value in known if _fits(key, value)}


def _fits(key: str, value: Any) -> bool:
    kind = _KINDS.get(key, object)
    if key in _TEXTS:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if key == "type" and isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, kind) and not (isinstance(value, bool) and key in _NUMBERS)


def _as_it_is(value: Any) -> Any:
    return value


def _members(value: list[Any]) -> list[Schema]:
    return list(map(well_formed, value))


def _by_name(value: dict[str, Any]) -> dict[str, Schema]:
    return {name: well_formed(one) for name, one in value.items()}


def _whether(value: Any) -> bool | Schema:
    return value if isinstance(value, bool) else well_formed(value)


_PARTS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("allOf", "anyOf", "oneOf"), _members),
    **dict.fromkeys(("items", "not"), well_formed),
    "properties": _by_name,
    "additionalProperties": _whether,
}
"""Keywords whose values hold schemas."""
_TEXTS = ("required",)
_NUMBERS = (
    *("minimum", "maximum", "multipleOf", "minLength", "maxLength"),
    *("minItems", "maxItems", "minProperties", "maxProperties"),
)
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "enum"), list),
    **dict.fromkeys(("items", "not", "properties"), dict),
    **dict.fromkeys(("type", "format", "pattern"), str),
    **dict.fromkeys(_NUMBERS, (int, float)),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), (bool, int, float)),
    "additionalProperties": (bool, dict),
}


def accepts(schema: Schema | None, *types: str) -> bool:
    """Whether a schema, or a member of its ``anyOf``, ``allOf`` or ``oneOf``, names one of these types."""
    if not schema:
        return False
    if schema.get("type") in types:
        return True
    return any(
        accepts(member, *types) for key in ("anyOf", "allOf", "oneOf") for member in schema.get(key, ())
    )


def main_type(schema: Schema) -> str | None:
    """Return the type that decides how a value is read: the schema's own, or its first typed member's."""
    members = [*schema.get("allOf", ()), *schema.get("anyOf", ())]
    return next((one["type"] for one in (schema, *members) if isinstance(one.get("type"), str)), None)


def item_schema(schema: Schema | None) -> Schema | None:
    """Return the schema of an array's items, or None when there is none."""
    if not schema:
        return None
    if isinstance(schema.get("items"), dict):
        items: Schema = schema["items"]
        return items
    choices = [
        item for key in ("anyOf", "oneOf") for one in schema.get(key, ()) if (item := item_schema(one))
    ]
    if choices:
        return {"anyOf": choices}
    return next((item for one in schema.get("allOf", ()) if (item := item_schema(one))), None)


def is_file(schema: Schema | None) -> bool:
    """Whether values are files: Cog writes ``Path`` as a string of format ``uri``."""
    return schema is not None and schema.get("type") == "string" and schema.get("format") == "uri"
