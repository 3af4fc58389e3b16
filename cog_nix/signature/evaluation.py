"""What an expression of a model's source comes to, as far as that can be told without running it.

Literals, names that are assigned once, methods that change nothing, comprehensions and enumerations. Nothing
of the model is called, and no result is larger than a reader would want to see.
"""

from __future__ import annotations

import ast
import operator
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cog_nix.signature.project import Module

_DEEPEST = 30
"""Names that stand for names, and lists in lists, are followed so far."""
_MOST = 2000
"""Elements, and characters of a text."""
_TURNS = 20_000
"""Expressions that are looked at, again in each turn of a loop."""


class UnknownError(ValueError):
    """Only running the model would tell."""


def _text(value: object) -> str:
    if not isinstance(value, int | float | str):
        raise UnknownError
    return str(value)


def _distinct(values: Iterable[Any] = ()) -> list[Any]:
    """Return what a set of these has, in their order: a set's own differs from run to run."""
    return list(dict.fromkeys(values))


_FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        **{one.__name__: one for one in (dict, enumerate, float, int, len, list, max, min, range, reversed)},
        **{one.__name__: one for one in (sorted, sum, tuple, zip)},
        "frozenset": _distinct,
        "set": _distinct,
        "str": _text,
    }
)
_METHODS: Mapping[type, tuple[str, ...]] = MappingProxyType(
    {
        str: (
            *(
                "capitalize",
                "casefold",
                "lower",
                "lstrip",
                "removeprefix",
                "removesuffix",
                "replace",
                "rstrip",
            ),
            *("split", "startswith", "endswith", "strip", "title", "upper", "join"),
        ),
        dict: ("get", "items", "keys", "values"),
        list: ("copy",),
    }
)
_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.FloorDiv: operator.floordiv,
        ast.Div: operator.truediv,
        ast.Eq: operator.eq,
        ast.NotEq: operator.ne,
        ast.Lt: operator.lt,
        ast.LtE: operator.le,
        ast.Gt: operator.gt,
        ast.GtE: operator.ge,
        ast.In: lambda value, group: value in group,
        ast.NotIn: lambda value, group: value not in group,
    }
)
_UNKNOWN: Any = object()
"""A value of a dict that is no literal; its key may be all that counts."""


@frozen
class _Enumeration:
    members: dict[str, Any]


@frozen
class _Member:
    name: str
    value: Any


def evaluate(node: ast.expr, module: Module) -> Any:
    """Return the value of an expression.

    Args:
        node: the expression.
        module: where it stands.

    Raises:
        UnknownError: it is not known without running something.
    """
    try:
        value = _Scope(module, {}, _DEEPEST, iter(range(_TURNS))).value(node)
        return _Scope.listed(value) if isinstance(value, _Enumeration) else value
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnknownError(*error.args) from error


@frozen
class _Scope:
    module: Module
    local: Mapping[str, Any]
    depth: int
    turns: Iterator[int]

    def changed(self, **fields: Any) -> _Scope:
        """Return it with other fields."""
        return _Scope(**{**self.__dict__, **fields})

    def value(self, node: ast.expr) -> Any:  # noqa: C901, PLR0912 - a case for each kind of expression
        if self.depth == 0 or next(self.turns, None) is None:
            raise UnknownError
        inner = self.changed(depth=self.depth - 1)
        found: Any
        match node:
            case ast.Constant(value=value):
                found = value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                found = -inner.value(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                found = not inner.known(operand)
            case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATORS:
                found = inner.combined(operation, left, right)
            case ast.Compare(left=left, ops=[operation], comparators=[right]) if (
                type(operation) in _OPERATORS
            ):
                found = _OPERATORS[type(operation)](inner.known(left), inner.listed(inner.known(right)))
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                found = inner.elements(elements)
            case ast.Dict():
                found = inner.dictionary(node)
            case ast.JoinedStr(values=parts):
                found = "".join(inner.part(part) for part in parts)
            case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
                found = [scope.known(element) for scope in inner.scopes(node.generators)]
            case ast.DictComp(key=key, value=held):
                found = {scope.known(key): scope.maybe(held) for scope in inner.scopes(node.generators)}
            case ast.Subscript(value=owner, slice=index) if not isinstance(index, ast.Slice):
                found = inner.known(owner)[inner.known(index)]
            case ast.Name(id=name):
                found = inner.named(name)
            case ast.Attribute(value=owner, attr=name):
                found = inner.attribute(owner, name)
            case ast.Call(func=function, args=arguments, keywords=named):
                found = inner.called(function, arguments, named)
            case _:
                raise UnknownError
        return _small(found)

    def known(self, node: ast.expr) -> Any:
        """Return a value that counts."""
        value = self.value(node)
        if value is _UNKNOWN:
            raise UnknownError
        return value

    def maybe(self, node: ast.expr) -> Any:
        """Return a value that may be without importance."""
        try:
            return self.value(node)
        except UnknownError:
            return _UNKNOWN

    @staticmethod
    def listed(value: Any) -> Any:
        """Return the members of an enumeration, and everything else as it is."""
        if not isinstance(value, _Enumeration):
            return value
        return [_Member(name, held) for name, held in value.members.items()]

    def combined(self, operation: ast.operator, left: ast.expr, right: ast.expr) -> Any:
        """Return the result of an operator, unless it would be huge."""
        first, second = self.known(left), self.known(right)
        counts = [value for value in (first, second) if isinstance(value, int)]
        if isinstance(operation, ast.Mult) and counts and max(map(abs, counts)) > _MOST:
            raise UnknownError
        return _OPERATORS[type(operation)](first, second)

    def elements(self, nodes: Iterable[ast.expr]) -> list[Any]:
        """Return what a display has, with what is unpacked in it."""
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found.extend(self.listed(self.known(node.value)))
            else:
                found.append(self.maybe(node))
        return found

    def dictionary(self, node: ast.Dict) -> dict[Any, Any]:
        """Return a dict, whose values need not be known."""
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            found |= self.known(value) if key is None else {self.known(key): self.maybe(value)}
        return found

    def part(self, node: ast.expr) -> str:
        """Return a part of an f-string."""
        match node:
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return str(self.known(value))
            case _:
                return str(self.known(node))

    def scopes(self, generators: list[ast.comprehension]) -> Iterable[_Scope]:
        """Yield what the loops of a comprehension bind, turn by turn."""
        first, *others = generators
        for value in islice(self.listed(self.known(first.iter)), _MOST):
            scope = self.changed(local={**self.local, **_bound(first.target, value)})
            if all(scope.known(condition) for condition in first.ifs):
                if others:
                    yield from scope.scopes(others)
                else:
                    yield scope

    def named(self, name: str) -> Any:
        """Return what a name stands for: in a comprehension, in the module, or where it comes from."""
        if name in self.local:
            return self.local[name]
        outer = self.changed(local={})
        body = self.module.source.tree.body
        assigned = _assigned(name, body)
        if assigned is not None:
            return outer.value(assigned)
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name == name and _is_enumeration(node):
                return _Enumeration({one: outer.maybe(value) for one, value in _members(node)})
        return self.imported(name)

    def imported(self, name: str) -> Any:
        """Return what a name stands for in the module of the project that it is imported from."""
        origin = self.module.imports.names.get(name)
        other = self.module.project.module(origin.module, self.module.source.path) if origin else None
        if origin is None or other is None:
            raise UnknownError
        return self.changed(module=other, local={}, depth=self.depth - 1).value(
            ast.Name(origin.name, ast.Load())
        )

    def attribute(self, owner: ast.expr, name: str) -> Any:
        """Return an attribute of a class, a module of the project, an enumeration or one of its members."""
        if isinstance(owner, ast.Name) and owner.id not in self.local:
            for node in self.module.source.tree.body:
                if isinstance(node, ast.ClassDef) and node.name == owner.id and not _is_enumeration(node):
                    assigned = _assigned(name, node.body)
                    if assigned is None:
                        raise UnknownError
                    return self.changed(local={}).value(assigned)
            origin = self.module.imports.names.get(owner.id)
            other = self.module.project.module(origin.module, self.module.source.path) if origin else None
            if other and _assigned(name, other.source.tree.body) is not None:
                return self.changed(module=other, local={}, depth=self.depth - 1).named(name)
        held = self.known(owner)
        if isinstance(held, _Enumeration):
            return held.members if name == "__members__" else _Member(name, held.members[name])
        if isinstance(held, _Member) and name in ("name", "value"):
            return held.name if name == "name" else held.value
        raise UnknownError

    def called(self, function: ast.expr, arguments: list[ast.expr], named: list[ast.keyword]) -> Any:
        """Return what one of Python's own functions or methods gives."""
        given = [self.listed(self.known(one)) for one in arguments]
        keywords = {one.arg: self.maybe(one.value) for one in named if one.arg is not None}
        if len(keywords) < len(named) or (keywords and not self.is_dict(function)):
            raise UnknownError
        match function:
            case ast.Name(id=name) if name in _FUNCTIONS and name not in self.local:
                return _FUNCTIONS[name](*given, **keywords)
            case ast.Attribute(value=owner, attr=name):
                held = self.known(owner)
                if name in _METHODS.get(type(held), ()):
                    return getattr(held, name)(*given)
        raise UnknownError

    @staticmethod
    def is_dict(function: ast.expr) -> bool:
        """Return whether ``dict`` is called, which takes names."""
        return isinstance(function, ast.Name) and function.id == "dict"


def _small(value: Any) -> Any:
    """Return a value as it is, what is read once as a list.

    Raises:
        UnknownError: it is more than anybody would want to see.
    """
    if isinstance(value, range | enumerate | zip | reversed) or type(value).__name__ in _VIEWS:
        value = list(islice(value, _MOST + 1))
    if isinstance(value, str | list | tuple | dict | set) and len(value) > _MOST:
        raise UnknownError
    return value


_VIEWS = ("dict_keys", "dict_values", "dict_items", "list_reverseiterator")


def _bound(target: ast.expr, value: Any) -> dict[str, Any]:
    match target:
        case ast.Name(id=name):
            return {name: value}
        case ast.Tuple(elts=targets):
            return {
                name: inner
                for one, held in zip(targets, value, strict=True)
                for name, inner in _bound(one, held).items()
            }
    raise UnknownError


def _is_enumeration(node: ast.ClassDef) -> bool:
    names = (base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases)
    return any(name in ("Enum", "StrEnum", "IntEnum") for name in names)


def _members(node: ast.ClassDef) -> Iterable[tuple[str, ast.expr]]:
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not name.startswith("_"):
                yield name, value


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
