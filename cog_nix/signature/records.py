"""``BaseModel`` and ``TypedDict`` classes in the predictor's file and the project files that it imports."""

from __future__ import annotations

import ast
from contextlib import suppress
from typing import TYPE_CHECKING

from cog_nix.signature.annotations import Annotation, Generic, annotation
from cog_nix.signature.imports import Imports, is_external, module_path, submodule
from cog_nix.signature.literals import UnknownValueError, constant
from cog_nix.signature.model import UNSET
from cog_nix.signature.refusal import RefusalError
from cog_nix.signature.syntax import Source, classes
from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cog_nix.signature.imports import Origin
    from cog_nix.signature.model import Constant, Unset


@frozen
class RecordField:
    """One annotated name in a class body.

    Args:
        name: the field.
        annotation: its type, as written.
        default: the literal default that follows, if one does.
        required: what ``TypedDict`` says about the key; None for a ``BaseModel``.
        source: the file it is in.
        node: where it is written.
    """

    name: str
    annotation: Annotation
    default: Constant | Unset
    required: bool | None
    source: Source
    node: ast.AnnAssign


Fields = tuple[RecordField, ...]


class Records:
    """The record classes that a module can name.

    Args:
        imports: what the module imports.
        path: where it is, relative to the project.

    Attributes:
        models: fields by name; classes of imported modules also appear as ``module.Class``.
        typed_dicts: which of the names are ``TypedDict`` classes.
    """

    def __init__(self, imports: Imports, path: str) -> None:
        self.imports = imports
        self.path = path
        self.models: dict[str, Fields] = {}
        self.typed_dicts: set[str] = set()


class Reader:
    """Reads record classes across the files of a project; each file once.

    Args:
        source_of: gives the project's files by path; None for one that is not there or no Python.

    Attributes:
        loaded: what each file holds; present from the moment it is looked at, so that circular imports end.
    """

    def __init__(self, source_of: Callable[[str], Source | None]) -> None:
        self._source_of = source_of
        self.loaded: dict[str, Records] = {}
        self._unfinished: set[str] = set()
        self._open: list[Source] = []

    def read(self, source: Source, imports: Imports) -> Records:
        """Return the record classes that ``source`` defines or imports."""
        records = Records(imports, source.path)
        self._open.append(source)
        records.models.update(_defined(source, records))
        self._follow_imports(records)
        records.models.update(_defined(source, records))  # now with what imported classes are
        self._open.pop()
        return records

    def _is_written(self, name: str) -> bool:
        """Tell whether a file being read has ``….name``; all that could be said doubles with every import."""
        return any(name in source.dotted for source in self._open)

    def _follow_imports(self, records: Records) -> None:
        for name, origin in records.imports.names.items():
            models, path, is_submodule = self._imported(records, origin)
            if models is None:
                _alias(name, origin, records, records)
                continue
            imported = self.loaded.get(path) if path is not None else None
            for known, fields in list(models.items()):
                if self._is_written(known):
                    records.models[f"{name}.{known}"] = fields
            if imported is not None:
                written = [known for known in imported.typed_dicts if self._is_written(known)]
                records.typed_dicts.update([f"{name}.{known}" for known in written])
            if is_submodule or origin.module in {origin.name, "."}:
                continue
            _alias(name, origin, imported or records, records, models)
            for known, fields in list(models.items()):
                records.models.setdefault(known, fields)

    def _imported(
        self, records: Records, origin: Origin
    ) -> tuple[dict[str, Fields] | None, str | None, bool]:
        path = module_path(origin.module, records.path)
        models = self._load(origin.module, path)
        nested = submodule(origin)
        if models is not None or nested == origin.module:
            return models, path, False
        path = module_path(nested, records.path)
        return self._load(nested, path), path, True

    def _load(self, module: str, path: str | None) -> dict[str, Fields] | None:
        if path is None or is_external(module):
            return None
        if path in self.loaded:
            return self.loaded[path].models
        source = self._source_of(path)
        if source is None:
            return None
        imports = Imports(source)
        self.loaded[path] = Records(imports, path)
        self._unfinished.add(path)
        records = self.read(source, imports)
        self._unfinished.discard(path)
        self.loaded[path] = records
        self._refresh()
        self._open.append(source)
        self._follow_imports(records)
        self._open.pop()
        return records.models

    def _refresh(self) -> None:
        """Hand classes on along imports between files that were read while one of them was incomplete."""
        for own_path, records in self.loaded.items():
            if own_path in self._unfinished:
                continue
            for name, origin in records.imports.names.items():
                path = module_path(origin.module, records.path)
                if path in self.loaded:
                    _alias(name, origin, self.loaded[path], records)


def docstring_of(fields: Fields) -> str:
    """Return the docstring of the class that has these fields; "" without one, or without any field."""
    for field in fields[:1]:
        for node in classes(field.source.tree.body):
            if field.node in node.body:
                return ast.get_docstring(node) or ""
    return ""


def _alias(
    name: str,
    origin: Origin,
    giver: Records,
    taker: Records,
    models: dict[str, Fields] | None = None,
) -> None:
    given = giver.models if models is None else models
    if origin.name in given:
        taker.models[name] = given[origin.name]
    if origin.name in giver.typed_dicts:
        taker.typed_dicts.add(name)


def _defined(source: Source, records: Records) -> dict[str, Fields]:
    """Return the record classes at a module's top level. Only direct bases make a class one, as in Cog."""
    found: dict[str, Fields] = {}
    for node in classes(source.tree.body):
        is_model = any(_is_base_model(source, base, records.imports) for base in node.bases)
        parents = _typed_dict_parents(source, node, records)
        if not is_model and parents is None:
            continue
        total = None if parents is None else _is_total(source, node)
        own = tuple(_fields(source, node.body, records.imports, total=total))
        if parents is not None:
            inherited = [found.get(parent, records.models.get(parent, ())) for parent in parents]
            own = _merged([*inherited, own])
            records.typed_dicts.add(node.name)
        found[node.name] = own
    return found


def _is_base_model(source: Source, base: ast.expr, imports: Imports) -> bool:
    match base:
        case ast.Name():
            return imports.is_base_model(source.text(base))
        case ast.Attribute(attr="BaseModel"):
            return True
        case _:
            return False


def _typed_dict_parents(source: Source, node: ast.ClassDef, records: Records) -> list[str] | None:
    """Return the bases whose fields a ``TypedDict`` inherits, or None for a class that is none."""
    parents: list[str] = []
    is_typed_dict = False
    for base in node.bases:
        if not isinstance(base, ast.Name | ast.Attribute):
            continue
        name = source.text(base)
        named = (
            records.imports.is_typed_dict(name) if isinstance(base, ast.Name) else base.attr == "TypedDict"
        )
        if named:
            is_typed_dict = True
        elif name in records.typed_dicts:
            is_typed_dict = True
            parents.append(name)
    return parents if is_typed_dict else None


def _is_total(source: Source, node: ast.ClassDef) -> bool:
    return not any(
        given.arg == "total" and source.text(given).partition("=")[2].strip() == "False"
        for given in node.keywords
    )


def _fields(
    source: Source, body: Iterable[ast.stmt], imports: Imports, *, total: bool | None
) -> Iterable[RecordField]:
    for node in body:
        if not isinstance(node, ast.AnnAssign):
            continue
        assigned = source.assigned(node)
        if assigned is None:
            continue
        try:
            written = annotation(source, source.expression(node.annotation, source.end(node.target)))
        except RefusalError:
            continue  # what cannot be read as a type is no field
        name, value = assigned
        required = total
        if total is not None:
            written, required = _key(written, imports, total=total)
        default: Constant | Unset = UNSET
        if value is not None:
            with suppress(UnknownValueError):
                default = constant(source, value)
        yield RecordField(name, written, default, required, source, node)


def _key(written: Annotation, imports: Imports, *, total: bool) -> tuple[Annotation, bool]:
    """Take ``Required[...]`` and ``NotRequired[...]`` off a field of a ``TypedDict``."""
    if isinstance(written, Generic) and len(written.arguments) == 1:
        for qualifier, required in (("NotRequired", False), ("Required", True)):
            name = written.name
            if name == qualifier or name.endswith(f".{qualifier}"):
                return written.arguments[0], required
            if imports.means(name, qualifier, {"typing", "typing_extensions"}):
                return written.arguments[0], required
    return written, total


def _merged(groups: Iterable[Fields]) -> Fields:
    merged: dict[str, RecordField] = {}
    for fields in groups:
        for found in fields:
            merged[found.name] = found
    return tuple(merged.values())
