"""Type annotations: what is written, before anything is looked up.

Cog reads an annotation that starts with ``Name[`` from its text, and every other one from its structure. The
two differ in detail: in text, a trailing comma and a comment are refused, and quotes may be around any part.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, TypeGuard

from cog_nix.signature.refusal import unsupported
from cog_nix.signature.syntax import Comment, Expression
from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from cog_nix.signature.syntax import Part, Source

_DOTTED = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
_QUOTES = "\"'"
_SUBSCRIPTED_KEYWORDS = {"print", "exec", "type", "match", "async", "await"}


@frozen
class Named:
    """``Name`` or ``module.Name``."""

    name: str


@frozen
class Generic:
    """``Name[arguments]``."""

    name: str
    arguments: tuple[Annotation, ...]


@frozen
class Union:
    """``A | B``."""

    members: tuple[Annotation, ...]


Annotation = Named | Generic | Union

NONE = Named("None")


def annotation(source: Source, expression: Expression) -> Annotation:
    """Return what an annotation says.

    Args:
        source: the file it is in.
        expression: the annotation.

    Raises:
        RefusalError: it is not something Cog reads as a type.
    """
    if not expression.parenthesised and _is_subscripted_twice(expression.node):
        return _last_subscript(source, expression.node)
    if not expression.parenthesised and _starts_with_subscripted_name(source, expression.node):
        text = source.text(expression.node)
        found = from_text(text)
        if found is None:
            raise unsupported(f"{_text_kind(expression.node)}: {text}", _TEXT_HINT)
        return found
    return _structure(source, expression)


def from_text(text: str) -> Annotation | None:
    """Return what the text of an annotation says, or None when it says nothing Cog knows."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES:
        return from_text(text[1:-1])
    parts = _split(text, "|")
    if len(parts) > 1:
        members = _all_from_text(parts)
        return None if members is None else Union(members)
    bracket = text.find("[")
    if bracket >= 0 and text.endswith("]"):
        arguments = _all_from_text(_split(text[bracket + 1 : -1], ","))
        return None if arguments is None else Generic(text[:bracket].strip(), arguments)
    return Named(text) if _DOTTED.fullmatch(text) else None


def optional(found: Annotation) -> Annotation | None:
    """Return ``X`` of ``Optional[X]``, ``Union[X, None]`` or ``X | None``, spelled like that; else None."""
    match found:
        case Generic("Optional", (inner,)):
            return inner
        case Union((first, second)) | Generic("Union", (first, second)):
            if first == NONE:
                return second
            return first if second == NONE else None
    return None


def _all_from_text(parts: list[str]) -> tuple[Annotation, ...] | None:
    found = []
    for part in parts:
        member = from_text(part)
        if member is None:
            return None
        found.append(member)
    return tuple(found)


def _split(text: str, separator: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _starts_with_subscripted_name(source: Source, node: ast.expr) -> bool:
    """Tell whether the leftmost part of an annotation is ``Name[``."""
    start = source.start(node)
    while True:
        match node:
            case ast.BinOp(left=inner) | ast.Attribute(value=inner) | ast.Call(func=inner):
                node = inner
            case ast.Subscript(value=ast.Name(id=name) as inner):
                return source.start(inner) == start and name not in _SUBSCRIPTED_KEYWORDS
            case ast.Subscript(value=inner):
                node = inner
            case _:
                return False


def _is_subscripted_twice(node: ast.expr) -> TypeGuard[ast.Subscript]:
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Subscript)
        and isinstance(node.value.value, ast.Name)
    )


def _last_subscript(source: Source, node: ast.Subscript) -> Annotation:
    """Return ``[B]`` of ``Name[A][B]``, where Cog loses the rest: a type without a name."""
    text = source.slice(source.end(node.value), source.end(node)).strip()
    found = from_text(text)
    if found is None:
        raise unsupported(f"list: {text}", _TEXT_HINT)
    return found


def _text_kind(node: ast.expr) -> str:
    match node:
        case ast.BinOp():
            return "union_type"
        case ast.Attribute():
            return "member_type"
        case _:
            return "generic_type"


_TEXT_HINT = (
    "Write the type without comments, calls or a trailing comma in the brackets: Optional[list[str]]."
)
_KINDS: dict[type[ast.expr], str] = {
    ast.Call: "call",
    ast.List: "list",
    ast.Tuple: "tuple",
    ast.Dict: "dictionary",
    ast.Set: "set",
    ast.Lambda: "lambda",
    ast.IfExp: "conditional_expression",
    ast.Compare: "comparison_operator",
    ast.BoolOp: "boolean_operator",
    ast.Await: "await",
    ast.Slice: "slice",
    ast.Starred: "list_splat",
    ast.NamedExpr: "named_expression",
    ast.Constant: "ellipsis",
    ast.UnaryOp: "unary_operator",
    ast.ListComp: "list_comprehension",
    ast.SetComp: "set_comprehension",
    ast.DictComp: "dictionary_comprehension",
    ast.GeneratorExp: "generator_expression",
}


def _kind(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=float()):
            return "float"
        case ast.UnaryOp(op=ast.Not()):
            return "not_operator"
        case _:
            return _KINDS.get(type(node), "expression")


def _structure(source: Source, part: Part) -> Annotation:
    if not isinstance(part, Expression):
        text = part.text if isinstance(part, Comment) else part.name
        raise unsupported(f"comment: {text}", "Write the type without comments inside the brackets.")
    node = part.node
    text = source.text(node)
    if part.parenthesised:
        raise unsupported(f"parenthesized_expression: ({text})", "Write the type without the parentheses.")
    match node:
        case ast.Name() | ast.Attribute():
            return Named(text)
        case ast.Constant(value=None):
            return NONE
        case ast.Subscript():
            return _subscript(source, node)
        case ast.BinOp():
            return _union(source, node)
        case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
            found = from_text(text.strip(_QUOTES))
            if found is None:
                raise unsupported(f"string annotation: {text}", "Write the type without the quotes.")
            return found
    found = from_text(text)
    if found is None:
        raise unsupported(f"{_kind(node)}: {text}", _TEXT_HINT)
    return found


def _subscript(source: Source, node: ast.Subscript) -> Annotation:
    outer = source.before_bracket(node)
    arguments = tuple(_structure(source, part) for part in source.slices(node))
    return Generic(outer, arguments) if arguments else Named(outer)


def _union(source: Source, node: ast.BinOp) -> Annotation:
    if not isinstance(node.op, ast.BitOr):
        raise unsupported(
            "non-union binary operator in type annotation", "Write a type: str, int | None, list[str]."
        )
    left = Expression(node.left, source.start(node.left) != source.start(node))
    right = source.expression(node.right, source.end(node.left))
    members: list[Annotation] = []
    for side in (left, right):
        found = _structure(source, side)
        members.extend(found.members if isinstance(found, Union) else [found])
    return Union(tuple(members))
