"""What expressions of a module may be, as texts and lists of texts, without running it."""

from __future__ import annotations

import ast
import re
from itertools import product
from typing import TYPE_CHECKING

from cog_nix.programs.words import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MOST = 12
"""Alternatives that are looked at."""
_DEEPEST = 12
_STEPS = 2000
"""Expressions that are looked at for one command: names may be bound to each other in circles."""
_PERCENT = re.compile(r"%(?:\(\w+\))?[-#0 +]*[\d*]*(?:\.[\d*]+)?[a-zA-Z%]")
_BRACES = re.compile(r"\{\{|\}\}|\{[^{}]*\}")
_SAME = frozenset({"encode", "lstrip", "rstrip", "strip"})
_WRAPPERS = frozenset({"str", "list", "tuple", "os.fspath", "pathlib.Path", "textwrap.dedent"})


class Scope:
    """Where names are bound: to expressions, or to what nothing is known of (None)."""

    def __init__(
        self,
        above: Scope | None,
        *,
        is_class: bool = False,
        function: ast.FunctionDef | ast.AsyncFunctionDef | None = None,
    ) -> None:
        self.above, self.is_class, self.function = above, is_class, function
        self.values: dict[str, list[ast.expr | None]] = {}

    def look_up(self, name: str) -> tuple[list[ast.expr | None], Scope]:
        """Return what a name is bound to, and where; classes are not looked through (PEP 227)."""
        scope: Scope | None = self
        while scope:
            if name in scope.values and (scope is self or not scope.is_class):
                return scope.values[name], scope
            scope = scope.above
        return [], self


class Texts:
    """Reads expressions.

    Args:
        full_name: returns what a name was imported as.
    """

    def __init__(self, full_name: Callable[[ast.expr], str]) -> None:
        self._full_name = full_name
        self._attributes: dict[str, list[tuple[ast.expr, Scope]]] = {}
        self._steps = 0

    def bind(self, node: ast.AST, scope: Scope) -> None:
        """Note what a statement or an expression binds."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind_target(target, node.value, scope)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            self._bind_target(node.target, node.value, scope)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self._bind_loop(node, scope)
        elif isinstance(node, ast.comprehension):
            self._bind_target(node.target, None, scope)
        elif isinstance(node, ast.withitem) and node.optional_vars:
            self._bind_target(node.optional_vars, None, scope)

    def bind_parameters(self, arguments: ast.arguments, scope: Scope) -> None:
        """Note parameters: those with a default may be that."""
        names = [*arguments.posonlyargs, *arguments.args]
        defaults = [*[None] * (len(names) - len(arguments.defaults)), *arguments.defaults]
        pairs = [
            *zip(names, defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        for name, default in pairs:
            scope.values[name.arg] = [default]
        for rest in (arguments.vararg, arguments.kwarg):
            if rest:
                scope.values[rest.arg] = [None]

    def _bind_target(self, target: ast.expr, value: ast.expr | None, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            scope.values.setdefault(target.id, []).append(value)
            if scope.is_class and value:
                self._attributes.setdefault(target.id, []).append((value, scope))
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and value:
            if target.value.id in {"self", "cls"}:
                self._attributes.setdefault(target.attr, []).append((value, scope))
        elif isinstance(target, ast.Tuple | ast.List):
            same = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
            values = (
                value.elts if same and isinstance(value, ast.Tuple | ast.List) else [None] * len(target.elts)
            )
            for one, its in zip(target.elts, values, strict=True):
                self._bind_target(one, its, scope)

    def _bind_loop(self, node: ast.For | ast.AsyncFor, scope: Scope) -> None:
        """A loop over a written list binds its name to each element."""
        values = node.iter.elts if isinstance(node.iter, ast.List | ast.Tuple) else [None]
        for value in values[:_MOST]:
            self._bind_target(node.target, value, scope)

    def texts(self, node: ast.expr | None, scope: Scope, depth: int = 0) -> list[str]:
        """Return the texts that an expression may be; nothing where it is something else."""
        if node is None or self._is_too_far(depth):
            return []
        return list(dict.fromkeys(self._texts(node, scope, depth + 1)))[:_MOST]

    def lists(self, node: ast.expr | None, scope: Scope, depth: int = 0) -> list[list[str]]:
        """Return the lists of texts that an expression may be; nothing where it is something else."""
        if node is None or self._is_too_far(depth):
            return []
        return list(self._lists(node, scope, depth + 1))[:_MOST]

    def split(self, call: ast.Call) -> ast.expr | None:
        """Return what a call splits into words; None where it does something else."""
        if self._full_name(call.func) == "shlex.split" and call.args:
            return call.args[0]
        if isinstance(call.func, ast.Attribute) and call.func.attr == "split":
            plain = not call.args or (isinstance(call.args[0], ast.Constant) and call.args[0].value == " ")
            return call.func.value if plain else None
        return None

    def _is_too_far(self, depth: int) -> bool:
        self._steps = 0 if depth == 0 else self._steps + 1
        return depth > _DEEPEST or self._steps > _STEPS

    def _known(self, node: ast.expr, scope: Scope, depth: int) -> str:
        """Return a text that stands for all that an expression may be."""
        found = self.texts(node, scope, depth)
        return found[0] if len(found) == 1 else UNKNOWN

    def _texts(self, node: ast.expr, scope: Scope, depth: int) -> Iterator[str]:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str | bytes):
                yield node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
        elif isinstance(node, ast.JoinedStr):
            yield "".join(self._known(part, scope, depth) for part in node.values)
        elif isinstance(node, ast.FormattedValue):
            yield self._known(node.value, scope, depth) if node.format_spec is None else UNKNOWN
        elif isinstance(node, ast.BinOp):
            yield from self._operation(node, scope, depth)
        elif isinstance(node, ast.Call):
            yield from self._text_of_call(node, scope, depth)
        else:
            for value, where in self._alternatives(node, scope):
                yield from self.texts(value, where, depth)

    def _lists(self, node: ast.expr, scope: Scope, depth: int) -> Iterator[list[str]]:
        if isinstance(node, ast.List | ast.Tuple):
            yield from self._elements(node.elts, scope, depth)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            first, *rest = _added(node)
            more = [word for part in rest for word in (self.lists(part, scope, depth) or [[UNKNOWN]])[0]]
            yield from ([*words, *more] for words in self.lists(first, scope, depth))
        elif isinstance(node, ast.Call):
            if text := self.split(node):
                yield from (each.split() for each in self.texts(text, scope, depth))
            elif self._full_name(node.func) in _WRAPPERS or _name(node.func) in {"list", "tuple"}:
                yield from self.lists(node.args[0] if node.args else None, scope, depth)
        else:
            for value, where in self._alternatives(node, scope):
                yield from self.lists(value, where, depth)

    def _elements(self, nodes: Iterable[ast.expr], scope: Scope, depth: int) -> Iterator[list[str]]:
        """Yield lists with each of the texts that the first element may be."""
        elements: list[list[str]] = []
        for position, node in enumerate(nodes):
            if isinstance(node, ast.Starred):
                found = self.lists(node.value, scope, depth)
                if position == 0 and len(found) > 1:
                    elements.append([each[0] if each else UNKNOWN for each in found])
                else:
                    elements += [[each] for each in (found[0] if len(found) == 1 else [UNKNOWN])]
            elif position == 0:
                elements.append(self.texts(node, scope, depth) or [UNKNOWN])
            else:
                elements.append([self._known(node, scope, depth)])
        yield from map(list, product(*elements))

    def _alternatives(self, node: ast.expr, scope: Scope) -> Iterator[tuple[ast.expr, Scope]]:
        """Yield the expressions that another one may be the value of."""
        if isinstance(node, ast.Name):
            values, where = scope.look_up(node.id)
            yield from ((value, where) for value in values if value is not None)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in {"self", "cls"} or node.value.id[:1].isupper():
                yield from self._attributes.get(node.attr, ())
        elif isinstance(node, ast.IfExp):
            yield from ((each, scope) for each in (node.body, node.orelse))
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            yield from ((each, scope) for each in node.values)
        elif isinstance(node, ast.NamedExpr | ast.Await):
            yield node.value, scope

    def _operation(self, node: ast.BinOp, scope: Scope, depth: int) -> Iterator[str]:
        if isinstance(node.op, ast.Add):
            first, *rest = _added(node)
            more = "".join(self._known(part, scope, depth) for part in rest)
            starts = self.texts(first, scope, depth) or ([UNKNOWN] if more.strip(UNKNOWN) else [])
            yield from (start + more for start in starts)
        elif isinstance(node.op, ast.Mod):
            yield from (_PERCENT.sub(UNKNOWN, text) for text in self.texts(node.left, scope, depth))

    def _text_of_call(self, node: ast.Call, scope: Scope, depth: int) -> Iterator[str]:
        name = self._full_name(node.func) or _name(node.func)
        first = node.args[0] if node.args else None
        if name in {"os.environ.get", "os.getenv"}:
            yield from self.texts(node.args[1] if len(node.args) > 1 else None, scope, depth)
        elif name == "shlex.join":
            yield from (" ".join(words) for words in self.lists(first, scope, depth))
        elif name in _WRAPPERS:
            yield from self.texts(first, scope, depth)
        elif isinstance(node.func, ast.Attribute):
            of, method = node.func.value, node.func.attr
            if method == "format":
                yield from (_BRACES.sub(_brace, text) for text in self.texts(of, scope, depth))
            elif method in _SAME:
                yield from self.texts(of, scope, depth)
            elif method == "join" and self.texts(of, scope, depth) in ([" "], [" && "], ["; "], [" | "]):
                with_what = self.texts(of, scope, depth)[0]
                yield from (with_what.join(words) for words in self.lists(first, scope, depth))


def _added(node: ast.expr) -> list[ast.expr]:
    """Return what a chain of additions adds, in order."""
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def _brace(found: re.Match[str]) -> str:
    return found[0][0] if found[0] in {"{{", "}}"} else UNKNOWN


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
