"""What to write in place of ``choices=`` that Cog cannot read.

Cog reads a list of literals, the name of a list, ``list(NAMES.keys())`` of a dict of literals, and sums of
these; schemas agree with it to the byte. Here more is understood, to tell the user the very list to write.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.signature.model import Constant
    from cog_nix.signature.project import Module

_Literal = str | int | float | bool
_DEEPEST = 20
"""Names that stand for names, and lists in lists, are followed so far."""
_LONGEST = 300
"""Characters of a list that a hint writes out."""


def advice(node: ast.expr, module: Module) -> str:
    """Return what to write for an expression that Cog does not read.

    Args:
        node: what stands behind ``choices=``.
        module: where it stands.
    """
    values = _values(node, module, _DEEPEST)
    if values:
        written = f"choices=[{', '.join(_literal(value) for value in values)}]"
        if len(written) <= _LONGEST:
            return f"Write: {written}"
        return f"Write the {len(values)} values as a list of literals, without comments in it: choices=[…]."
    unknown = _unknown_name(node)
    if unknown:
        return (
            f"The source is read, not run, and {unknown} is not a list or dict of literals in this file."
            ' Write the values out: choices=["a", "b"].'
        )
    return 'The source is read, not run. Write the values out: choices=["a", "b"].'


def lost(node: ast.expr, read: Sequence[Constant], module: Module) -> str:
    """Return advice where Cog reads fewer choices than there are, else an empty text.

    Cog passes over the entries of a dict whose keys or values are no literals.
    """
    values = _values(node, module, _DEEPEST) or ()
    return advice(node, module) if len(values) > len(read) else ""


def _literal(value: _Literal) -> str:
    if not isinstance(value, str):
        return repr(value)
    quoted = repr(value)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in value and "\\" not in quoted else quoted


def _values(node: ast.expr, module: Module, depth: int) -> tuple[_Literal, ...] | None:
    """Return the values that an iterable has, in order, or None when they are not known."""
    found: tuple[_Literal, ...] | None = None
    match node:
        case _ if depth == 0:
            pass
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            found = _elements(elements, module, depth)
        case ast.Dict(keys=keys) if all(keys):
            found = _elements([key for key in keys if key is not None], module, depth)
        case ast.Name(id=name):
            found = _named(name, module, depth)
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            found = _attribute(owner, name, module, depth)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = _values(left, module, depth - 1), _values(right, module, depth - 1)
            found = None if first is None or second is None else first + second
        case ast.ListComp(
            elt=ast.Name(id=name),
            generators=[ast.comprehension(target=ast.Name(id=target), iter=source, ifs=[])],
        ) if name == target:
            found = _values(source, module, depth - 1)
        case ast.Call():
            found = _called(node, module, depth)
    return found


def _called(node: ast.Call, module: Module, depth: int) -> tuple[_Literal, ...] | None:
    match node:
        case ast.Call(func=ast.Name(id="list" | "tuple"), args=[inner], keywords=[]):
            return _values(inner, module, depth - 1)
        case ast.Call(func=ast.Name(id="sorted"), args=[inner], keywords=[]):
            values = _values(inner, module, depth - 1)
            texts = [value for value in values or () if isinstance(value, str)]
            return tuple(sorted(texts)) if values is not None and len(texts) == len(values) else None
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=given):
            names = [one.arg for one in given if one.arg is not None]
            return tuple(names) if len(names) == len(given) else None
        case ast.Call(func=ast.Attribute(value=owner, attr="keys"), args=[], keywords=[]):
            return _values(owner, module, depth - 1)
    return None


def _elements(nodes: list[ast.expr], module: Module, depth: int) -> tuple[_Literal, ...] | None:
    found: list[_Literal] = []
    for node in nodes:
        match node:
            case ast.Constant(value=str() | int() | float() as value):
                found.append(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                found.append(-value)
            case ast.Starred(value=inner):
                values = _values(inner, module, depth - 1)
                if values is None:
                    return None
                found.extend(values)
            case ast.Name(id=name) if isinstance(module.constants.get(name), str | int | float):
                found.append(module.constants[name])  # type: ignore[arg-type] # as the guard says
            case _:
                return None
    return tuple(found)


def _named(name: str, module: Module, depth: int) -> tuple[_Literal, ...] | None:
    assigned = _assigned(name, module.source.tree.body)
    if assigned is not None:
        return _values(assigned, module, depth - 1)
    origin = module.imports.names.get(name)
    other = module.project.module(origin.module, module.source.path) if origin else None
    return _named(origin.name, other, depth - 1) if origin and other and depth > 1 else None


def _attribute(owner: str, name: str, module: Module, depth: int) -> tuple[_Literal, ...] | None:
    for node in module.source.tree.body:
        if isinstance(node, ast.ClassDef) and node.name == owner:
            assigned = _assigned(name, node.body)
            return _values(assigned, module, depth - 1) if assigned else None
    other = _imported_module(owner, module)
    return _named(name, other, depth - 1) if other and depth > 1 else None


def _assigned(name: str, body: list[ast.stmt]) -> ast.expr | None:
    """Return what a module's or class's own statements assign to a name, if they do so once."""
    found = [
        node.value
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == name
    ]
    return found[0] if len(found) == 1 else None


def _imported_module(name: str, module: Module) -> Module | None:
    origin = module.imports.names.get(name)
    return module.project.module(origin.module, module.source.path) if origin else None


def _unknown_name(node: ast.expr) -> str:
    """Return the first name whose value is missed, but for Python's own and variables of the expression."""
    names = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name)]
    bound = {*dir(builtins), *(name.id for name in names if isinstance(name.ctx, ast.Store))}
    return next((name.id for name in names if name.id not in bound), "")
