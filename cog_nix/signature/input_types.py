"""From an annotation of a parameter to its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from cog_nix.signature.annotations import NONE, Generic, Named, Union, optional
from cog_nix.signature.model import Array, OneOf, Primitive, Scalar
from cog_nix.signature.refusal import unresolved_import, unsupported
from cog_nix.system.values import frozen, replace

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from cog_nix.signature.annotations import Annotation
    from cog_nix.signature.imports import Imports, Origin
    from cog_nix.signature.model import Type

PRIMITIVES: dict[str, Primitive] = {name: name for name in get_args(Primitive)}
OPAQUE = Scalar("Any")

_RENAMED = {"cog": {"Path", "File", "Secret"}, "pathlib": {"Path"}}
"""Types that are known under the name that ``import … as`` gives them, by module."""

_NESTED = "nested generics like List[Optional[X]] are not supported"
_NESTED_HINT = "Take a flat list, for example list[str] or Optional[list[str]]."
_NESTED_UNION = "nested union inputs are not supported"
_UNION_HINT = "Name plain types only: str | int | float | bool | list[...] | dict | None."
_HINTS = {
    "Literal": 'Write `name: str = Input(choices=["a", "b"])`.',
    "Tuple": "Take a list: list[int].",
    "tuple": "Take a list: list[int].",
    "Set": "Take a list: list[str].",
    "set": "Take a list: list[str].",
    "Iterator": "Take a list: list[str].",
    "Sequence": "Take a list: list[str].",
}
_ACCEPTED = (
    "Inputs can be str, int, float, bool, Path, Secret, dict, list[...] of these, or any of them | None."
)


@frozen
class InputTypes:
    """Looks up the types of a module's parameters.

    Args:
        imports: what the module imports.
        typed_dicts: the names in it that are ``TypedDict`` classes; as inputs they are opaque.
    """

    imports: Imports
    typed_dicts: AbstractSet[str]

    def resolve(self, found: Annotation) -> Type:
        """Return the type that an annotation names.

        Raises:
            RefusalError: Cog has no input of that type.
        """
        inner = marked_opaque(self.imports, found)
        if inner is not None:
            return opaque_input(self.imports, inner)
        match found:
            case Named(name):
                return self._named(name)
            case Generic():
                return self._generic(found)
            case Union(members):
                return self._union(members)

    def _named(self, written: str) -> Type:
        if written in self.typed_dicts:
            return OPAQUE
        name, origin = written, None
        split = self.imports.qualified(written)
        if split is not None:
            name, origin = split
            if f"{origin.name}.{name}" in self.typed_dicts:
                return OPAQUE
        if name in self.typed_dicts or name in {"dict", "Dict"}:
            return OPAQUE
        known = primitive(self.imports, name)
        if known is not None:
            return Scalar(known)
        raise self._unknown(name, origin)

    def _unknown(self, name: str, origin: Origin | None) -> Exception:
        if origin is not None and origin.module:
            return unresolved_import(name, origin.module)
        if name in self.imports.names:
            return unresolved_import(name, self.imports.names[name].module)
        return unsupported(name, _HINTS.get(name, _ACCEPTED))

    def _generic(self, found: Generic) -> Type:
        split = self.imports.qualified(found.name)
        outer = split[0] if split else found.name
        arguments = found.arguments
        if outer in {"dict", "Dict"}:
            return OPAQUE
        if outer == "Optional":
            if len(arguments) != 1:
                raise unsupported(
                    f"Optional expects exactly 1 type argument, got {len(arguments)}", _ACCEPTED
                )
            return replace(self.resolve(arguments[0]), nullable=True)
        if outer == "Union":
            return self._union(arguments)
        if self.imports.is_annotated(found.name):
            return self.resolve(arguments[0])
        if outer in {"List", "list"}:
            return self._list(arguments)
        raise unsupported(f"{outer}[...] is not a supported input type", _HINTS.get(outer, _ACCEPTED))

    def _list(self, arguments: tuple[Annotation, ...]) -> Type:
        if len(arguments) != 1:
            raise unsupported(f"List expects exactly 1 type argument, got {len(arguments)}", _NESTED_HINT)
        items = self.resolve(arguments[0])
        if items.nullable or not isinstance(items, Scalar):
            raise unsupported(_NESTED, _NESTED_HINT)
        return Array(items)

    def _union(self, members: tuple[Annotation, ...]) -> Type:
        nullable = NONE in members
        variants = []
        for member in members:
            if member == NONE:
                continue
            if isinstance(member, Union) or (isinstance(member, Generic) and member.name == "Union"):
                raise unsupported(_NESTED_UNION, _UNION_HINT)
            variant = self.resolve(member)
            if isinstance(variant, OneOf):
                raise unsupported(_NESTED_UNION, _UNION_HINT)
            variants.append(variant)
        if not variants:
            raise unsupported("union inputs must include at least one non-None type", _UNION_HINT)
        if len(variants) == 1:
            return replace(variants[0], nullable=variants[0].nullable or nullable)
        for variant in variants:
            _check_variant(variant)
        return OneOf(tuple(variants), nullable)


def _check_variant(variant: Type) -> None:
    if variant.nullable:
        raise unsupported("nested nullable variants are not supported in union inputs", _UNION_HINT)
    if isinstance(variant, Array):
        _check_variant(variant.items)
    elif isinstance(variant, Scalar) and variant.name in {"Path", "File", "Secret"}:
        raise unsupported(f"{variant.name} is not supported in union inputs", _UNION_HINT)


def primitive(imports: Imports, name: str) -> Primitive | None:
    """Return the type that a name without a dot stands for.

    Cog goes by the spelling; ``from cog import Path as CogPath``, which it refuses, is understood as well.
    """
    known = PRIMITIVES.get(name)
    origin = imports.names.get(name)
    if known is None and origin is not None and origin.name in _RENAMED.get(origin.module, ()):
        return PRIMITIVES[origin.name]
    return known


def element(found: Type) -> Primitive:
    """Return what an input consists of once list and None are taken away."""
    if isinstance(found, Array):
        found = found.items
    return found.name if isinstance(found, Scalar) else "Any"


def marked_opaque(imports: Imports, found: Annotation) -> Annotation | None:
    """Return ``X`` of ``Annotated[X, Opaque]``, and None for everything else."""
    if isinstance(found, Generic) and imports.is_annotated(found.name):
        inner, *marks = found.arguments
        if any(isinstance(mark, Named) and imports.is_opaque(mark.name) for mark in marks):
            return inner
    return None


def optional_by_import(imports: Imports, found: Annotation) -> Annotation | None:
    """Like :func:`~cog_nix.signature.annotations.optional`, but by what names mean, not by their spelling."""
    if isinstance(found, Generic):
        container = imports.container(found.name)
        if container is None:
            return None
        if container in {"Optional", "Union"}:
            inner = optional(Generic(container, found.arguments))
            if inner is not None:
                return inner
    return optional(found)


def opaque_input(imports: Imports, found: Annotation) -> Type:
    """Return the type of an opaque input: only list and None around it are seen."""
    inner = marked_opaque(imports, found)
    if inner is not None:
        return opaque_input(imports, inner)
    if isinstance(found, Named | Generic) and imports.container(found.name) in {"List", "list"}:
        return Array(OPAQUE)
    inner = optional(found) if isinstance(found, Union) else optional_by_import(imports, found)
    if inner is None:
        return OPAQUE
    return (
        Array(OPAQUE, nullable=True)
        if opaque_input(imports, inner) == Array(OPAQUE)
        else Scalar("Any", nullable=True)
    )
