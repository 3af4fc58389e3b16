"""The model's OpenAPI document, as far as inputs and outputs need it.

The document is OpenAPI 3.0 (https://spec.openapis.org/oas/v3.0.3). References are expanded where they stand,
so the rest of the runtime sees plain JSON schemas.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cog_nix.errors import RuntimeFailure

Schema = dict[str, Any]
"""One JSON schema without references."""


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
            document = json.loads(text)
        except ValueError as error:
            raise RuntimeFailure(f"Failed to load model schema JSON: {error}") from error
        if not isinstance(document, dict):
            raise RuntimeFailure("Failed to load model schema JSON: it is not an object")
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
            raise RuntimeFailure("OpenAPI schema is missing components")
        schemas = components.get("schemas", {})
        for name in ("TrainingInput", "Input") if train else ("Input",):
            if isinstance(schemas.get(name), dict):
                component: Schema = self.expand(schemas[name])
                return component
        wanted = "TrainingInput or Input component" if train else "Input component"
        raise RuntimeFailure(f"OpenAPI schema is missing {wanted}")

    def output(self, *, train: bool = False) -> Schema:
        """Return the schema of what a prediction (or training) answers.

        Raises:
            RuntimeFailure: the document does not say.
        """
        path = "/trainings" if train else "/predictions"
        node: Any = self.document.get("paths", {}).get(path, {})
        for key in ("post", "responses", "200", "content", "application/json", "schema"):
            node = node.get(key, {}) if isinstance(node, dict) else {}
        output = self.expand(node).get("properties", {}).get("output")
        if not isinstance(output, dict):
            raise RuntimeFailure(f"invalid OpenAPI schema: missing output definition for {path}")
        return output

    def expand(self, schema: Any, _open: tuple[str, ...] = ()) -> Any:
        """Return ``schema`` with every reference replaced by what it points to.

        A reference inside itself (Cog writes none) becomes the schema that allows anything.
        """
        if isinstance(schema, list):
            return [self.expand(item, _open) for item in schema]
        if not isinstance(schema, dict):
            return schema
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return {key: self.expand(value, _open) for key, value in schema.items()}
        if reference in _open:
            return {}
        return self.expand(self._look_up(reference), (*_open, reference))

    def _look_up(self, reference: str) -> Any:
        node: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")  # RFC 6901, section 4
            if not isinstance(node, dict) or key not in node:
                raise RuntimeFailure(f"Model schema is invalid: {reference} points to nothing")
            node = node[key]
        return node


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
