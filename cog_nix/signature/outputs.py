"""From a return annotation to the output's type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.signature.annotations import Generic, Named, Union, optional
from cog_nix.signature.input_types import OPAQUE, marked_opaque, optional_by_import, primitive
from cog_nix.signature.model import UNSET, Array, Field, Mapping, Record, Scalar, Stream
from cog_nix.signature.records import docstring_of
from cog_nix.signature.refusal import RefusalError, unresolved_import, unsupported
from cog_nix.signature.syntax import located
from cog_nix.system.values import frozen, replace

if TYPE_CHECKING:
    from cog_nix.signature.annotations import Annotation
    from cog_nix.signature.imports import Imports
    from cog_nix.signature.model import Type
    from cog_nix.signature.records import Fields, RecordField, Records

_ACCEPTED = (
    "Outputs can be str, int, float, bool, Path, dict, list[...], a BaseModel subclass, "
    "Iterator[...] or ConcatenateIterator[str]."
)
_OPTIONAL_HINT = "Return a value always, or a BaseModel subclass with an Optional field."


@frozen
class OutputTypes:
    """Looks up what a module's functions return.

    Args:
        records: the classes that the module can name.
        optional: whether ``Optional[...]`` may be returned.
    """

    records: Records
    optional: bool = False

    @property
    def _imports(self) -> Imports:
        return self.records.imports

    def resolve(self, found: Annotation, within: frozenset[str] = frozenset()) -> Type:
        """Return the type that a return annotation names.

        Args:
            found: the annotation.
            within: the records that are being resolved; one that contains itself is opaque inside.

        Raises:
            RefusalError: Cog has no output of that type.
        """
        some = self._optional(found) if self.optional and not within else None
        if some is not None:
            return replace(self.resolve(some), nullable=True)
        inner = marked_opaque(self._imports, found)
        if inner is not None:
            if optional_by_import(self._imports, inner) is not None:
                raise _optional_output()
            return self._opaque(inner)
        match found:
            case Named(name):
                return self._named(name, within)
            case Generic(name, arguments) if self._imports.is_annotated(name):
                return self.resolve(arguments[0], within)
            case Generic():
                return self._generic(found, within)
            case Union():
                raise _union_output(found)

    def _opaque(self, found: Annotation) -> Type:
        if isinstance(found, Named | Generic) and self._imports.container(found.name) in {"list", "List"}:
            many = isinstance(found, Generic) and len(found.arguments) != 1
            return OPAQUE if many else Array(OPAQUE)
        return OPAQUE

    def _named(self, written: str, within: frozenset[str]) -> Type:
        models = self.records.models
        if written in models:
            return self._record(written, models[written], within)
        name, module = written, ""
        split = self._imports.qualified(written)
        if split is not None:
            name, origin = split
            module = origin.module
            known = f"{origin.name}.{name}"
            if known in models:
                return self._record(known, models[known], within)
        if name == "Any":
            return OPAQUE
        if name in {"dict", "Dict"}:
            return Scalar("dict")
        if self._imports.container(written) in {"list", "List"}:
            return Array(OPAQUE)
        plain = primitive(self._imports, name)
        if plain is not None:
            return Scalar(plain)
        if not module and name in self._imports.names:
            module = self._imports.names[name].module
        if module:
            raise unresolved_import(name, module)
        raise RefusalError(
            f"cannot resolve type '{name}' - it is not a primitive type (str, int, float, bool, Path) "
            "and no BaseModel definition was found in the predict file",
            f"{_ACCEPTED} A class counts when BaseModel or TypedDict is its direct base.",
            is_missing=True,
        )

    def _generic(self, found: Generic, within: frozenset[str]) -> Type:
        split = self._imports.qualified(found.name)
        outer = split[0] if split else found.name
        arguments = found.arguments
        if outer in {"dict", "Dict"}:
            return self._mapping(arguments, within)
        if outer == "Optional":
            if len(arguments) != 1:
                raise unsupported("Optional expects exactly 1 type argument", _ACCEPTED)
            raise _optional_output()
        if outer == "Union":
            raise _union_output(Union(arguments))
        if self._imports.container(found.name) in {"List", "list"}:
            return Array(self.resolve(_only(arguments, "list"), within))
        if outer in {"Iterator", "AsyncIterator"}:
            return Stream(self.resolve(_only(arguments, "Iterator"), within))
        if outer in {"ConcatenateIterator", "AsyncConcatenateIterator"}:
            return _concatenation(_only(arguments, "ConcatenateIterator"))
        raise unsupported(f"{outer}[...] is not a supported output type", _ACCEPTED)

    def _mapping(self, arguments: tuple[Annotation, ...], within: frozenset[str]) -> Type:
        if len(arguments) != 2:  # noqa: PLR2004 - a dict has keys and values
            raise unsupported("dict expects 0 or 2 type arguments", "Write dict[str, int], or plain dict.")
        try:
            return Mapping(self.resolve(arguments[1], within))
        except RefusalError as refusal:
            refusal.message = f"resolving dict value type: {refusal.message}"
            raise

    def _record(self, name: str, fields: Fields, within: frozenset[str]) -> Type:
        if name in within:
            return OPAQUE
        resolved: dict[str, Field] = {}
        for written in fields:
            with located(written.source, written.node):
                resolved[written.name] = self._field(written, within | {name})
        return Record(
            tuple(resolved.values()), name=name.rpartition(".")[2], description=docstring_of(fields)
        )

    def _field(self, written: RecordField, within: frozenset[str]) -> Field:
        try:
            found, required = self._field_type(written.annotation, within)
        except RefusalError as refusal:
            refusal.message = f'field "{written.name}": {refusal.message}'
            raise
        if written.required is not None:
            required = written.required
        return Field(written.name, found, required and written.default is UNSET, written.default)

    def _field_type(self, found: Annotation, within: frozenset[str]) -> tuple[Type, bool]:
        opaque = marked_opaque(self._imports, found)
        if opaque is not None:
            inner = self._optional(opaque)
            return (
                (self._opaque(opaque), True)
                if inner is None
                else (replace(self._opaque(inner), nullable=True), False)
            )
        if isinstance(found, Generic) and self._imports.is_annotated(found.name):
            return self._field_type(found.arguments[0], within)
        inner = self._optional(found)
        if inner is None:
            return self.resolve(found, within), True
        return replace(self.resolve(inner, within), nullable=True), False

    def _optional(self, found: Annotation) -> Annotation | None:
        inner = optional_by_import(self._imports, found)
        return optional(found) if inner is None else inner


def _only(arguments: tuple[Annotation, ...], name: str) -> Annotation:
    if len(arguments) != 1:
        raise unsupported(f"{name} expects exactly 1 type argument", _ACCEPTED)
    return arguments[0]


def _concatenation(found: Annotation) -> Type:
    hint = "Write ConcatenateIterator[str], or Iterator[...] for anything else."
    if not isinstance(found, Named):
        raise unsupported("ConcatenateIterator element type must be a simple type", hint)
    if found.name != "str":
        raise RefusalError(f"ConcatenateIterator element type must be str, got {found.name}", hint)
    return Stream(Scalar("str"), concatenate=True)


def _optional_output() -> RefusalError:
    return RefusalError("unsupported output type: Optional is not allowed as a return type", _OPTIONAL_HINT)


def _union_output(found: Union) -> RefusalError:
    if optional(found) is not None:
        return _optional_output()
    return unsupported("union types are not supported as output", f"Return one type. {_ACCEPTED}")
