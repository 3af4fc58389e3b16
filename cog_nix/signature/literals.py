"""Constants that are known without running the source.

Text is taken as it is written: escape sequences stay, and adjacent strings are one text from the first quote
to the last. That is how Cog reads descriptions and defaults, and documents must agree to the byte.
"""

from __future__ import annotations

import ast
import math
import re
from typing import TYPE_CHECKING

from cog_nix.signature.model import Constant, Items, Pairs
from cog_nix.signature.syntax import STRAY_BYTE, Expression

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cog_nix.signature.syntax import Part, Source

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_SIGNED_INT = re.compile(r"[+-](?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)")
_DECIMAL = re.compile(r"[+-]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?")
_SPECIAL = re.compile(r"[+-]?inf(?:inity)?|nan", re.IGNORECASE)


class UnknownValueError(Exception):
    """The expression has no value that is known without running the source."""


def constant(source: Source, expression: Expression) -> Constant:
    """Return the value of a literal.

    Raises:
        UnknownValueError: it is no literal.
    """
    if expression.parenthesised:
        raise UnknownValueError
    match expression.node:
        case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
            return string(source, expression)
        case ast.Constant(value=value):
            return _plain(value)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert()) as node:
            return _signed(source.text(node))
        case ast.List() | ast.Set() | ast.Tuple() | ast.Dict() as node:
            return _container(source, node)
        case _:
            raise UnknownValueError


def _plain(value: object) -> Constant:
    match value:
        case None | bool():
            return value
        case int() if value <= INT64_MAX:
            return value
        case float():
            return _finite(value)
        case _:
            raise UnknownValueError


def _container(source: Source, node: ast.List | ast.Set | ast.Tuple | ast.Dict) -> Constant:
    match node:
        case ast.Dict():
            return _pairs(source, node)
        case ast.Tuple():
            if not source.is_bracketed(node):
                raise UnknownValueError
            return Items(tuple(_known(source, source.elements(node))))
        case _:
            return Items(items(source, source.elements(node)), unordered=isinstance(node, ast.Set))


def items(source: Source, parts: Iterable[Part]) -> tuple[Constant, ...]:
    """Return the values of a display's elements, all of which must be known; a comment among them is not."""
    values = []
    for part in parts:
        if not isinstance(part, Expression):
            raise UnknownValueError
        values.append(constant(source, part))
    return tuple(values)


def _known(source: Source, parts: Iterable[Part]) -> Iterable[Constant]:
    for part in parts:
        if isinstance(part, Expression):
            try:
                yield constant(source, part)
            except UnknownValueError:
                continue


def _pairs(source: Source, node: ast.Dict) -> Pairs:
    keys: list[Constant] = []
    values: list[Constant] = []
    for key, value in source.pairs(node):
        try:
            pair = constant(source, key), constant(source, value)
        except UnknownValueError:
            continue
        keys.append(pair[0])
        values.append(pair[1])
    return Pairs(tuple(keys), tuple(values))


def string(source: Source, expression: Expression) -> str:
    """Return the text between the quotes of a plain or raw string.

    Only the first character is looked at, as in Cog: ``"a" + "b"`` is the text between the outermost quotes.

    Raises:
        UnknownValueError: it does not start like a string, or has another prefix.
    """
    if expression.parenthesised:
        raise UnknownValueError
    text = source.text(expression.node)
    if text.startswith(('"""', "'''")):
        return _without_ends(text, 3, 3)
    if text.startswith(('"', "'")):
        return _without_ends(text, 1, 1)
    if text.startswith(('r"', "r'")):
        return _without_ends(text, 2, 1)
    raise UnknownValueError


def _without_ends(text: str, start: int, end: int) -> str:
    """Take so many bytes off both ends; what is left of a longer character at the end is stray."""
    if text[-end:].isascii():
        return text[start:-end]
    cut = text.encode()[start:-end].decode(errors="surrogateescape")
    return re.sub(r"[\ud800-\udfff]", STRAY_BYTE, cut)


def number(source: Source, expression: Expression) -> float:
    """Return the value of a decimal number, or of the bare names ``inf`` and ``nan``.

    Raises:
        UnknownValueError: it is anything else.
    """
    if expression.parenthesised:
        raise UnknownValueError
    return _float(source.text(expression.node))


def boolean(expression: Expression) -> bool:
    """Return the value of ``True`` or ``False``.

    Raises:
        UnknownValueError: it is anything else.
    """
    if not expression.parenthesised and isinstance(expression.node, ast.Constant):
        value = expression.node.value
        if isinstance(value, bool):
            return value
    raise UnknownValueError


def _signed(text: str) -> int | float:
    if _SIGNED_INT.fullmatch(text):
        value = int(text, 0)
        if INT64_MIN <= value <= INT64_MAX:
            return value
    return _float(text)


def _float(text: str) -> float:
    if _SPECIAL.fullmatch(text):
        return float(text)
    if not _DECIMAL.fullmatch(text):
        raise UnknownValueError
    return _finite(float(text))


def _finite(value: float) -> float:
    if math.isinf(value):
        raise UnknownValueError
    return value


class Constants(dict[str, Constant]):
    """The module-level names with a known value."""


def module_constants(source: Source) -> Constants:
    """Return the constants that a module's top level assigns; the last assignment with a known value wins."""
    found = Constants()
    for node in source.tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        assigned = source.assigned(node)
        if assigned is None or assigned[1] is None:
            continue
        try:
            found[assigned[0]] = constant(source, assigned[1])
        except UnknownValueError:
            continue
    return found


def constant_or_name(source: Source, expression: Expression, known: Constants) -> Constant:
    """Return the value of a literal or of a module-level constant.

    Raises:
        UnknownValueError: it is neither.
    """
    try:
        return constant(source, expression)
    except UnknownValueError:
        name = plain_name(source, expression)
        if name is None or name not in known:
            raise
        return known[name]


def string_or_name(source: Source, expression: Expression, known: Constants) -> str:
    """Return a string, written here or in a module-level constant.

    Raises:
        UnknownValueError: it is neither.
    """
    try:
        return string(source, expression)
    except UnknownValueError:
        name = plain_name(source, expression)
        value = known.get(name) if name is not None else None
        if not isinstance(value, str):
            raise
        return value


def choices(source: Source, expression: Expression, known: Constants) -> tuple[Constant, ...]:
    """Return what ``choices=`` allows: a list, a constant, ``list(NAMES.keys())``, or a sum of these.

    Raises:
        UnknownValueError: it is anything else.
    """
    node = expression.node
    if expression.parenthesised:
        raise UnknownValueError
    match node:
        case ast.List():
            return items(source, source.elements(node))
        case ast.Name():
            value = known.get(source.text(node))
            if isinstance(value, Items) and not value.unordered:
                return value.values
        case ast.Call():
            return _choices_of_dict(source, node, known)
        case ast.BinOp(op=ast.Add()):
            left = Expression(node.left, source.start(node.left) != source.start(node))
            right = source.expression(node.right, source.end(node.left))
            return choices(source, left, known) + choices(source, right, known)
    raise UnknownValueError


def _choices_of_dict(source: Source, call: ast.Call, known: Constants) -> tuple[Constant, ...]:
    given = source.arguments(call)
    if source.text(call.func) == "list" and given and isinstance(given[0], Expression):
        match given[0]:
            case Expression(ast.Call(func=ast.Attribute(value=ast.Name() as owner, attr=method)), False):
                value = known.get(source.text(owner))
                if isinstance(value, Pairs) and method in {"keys", "values"}:
                    return value.keys if method == "keys" else value.values
    raise UnknownValueError


def plain_name(source: Source, expression: Expression) -> str | None:
    """Return the name that an expression consists of, if it is one."""
    if isinstance(expression.node, ast.Name) and not expression.parenthesised:
        return source.text(expression.node)
    return None
