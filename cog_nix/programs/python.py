"""Programs that Python source starts: what stands at a command's place in calls that start one.

Names are followed to where the same module binds them, and functions that hand their argument on to such a
call count as one. What only a run would tell starts nothing here.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from cog_nix.programs.calls import CALLS, Call
from cog_nix.programs.mentions import may_start
from cog_nix.programs.platforms import is_true
from cog_nix.programs.shell import started, started_in
from cog_nix.programs.texts import Scope, Texts
from cog_nix.programs.words import UNKNOWN, Script
from cog_nix.signature.newer import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODING = re.compile(rb"\A(?:#[^\n]*\n)?#[^\n]*coding[:=][ \t]*(?!utf-?8)", re.IGNORECASE)
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_ROUNDS = 2
"""How many functions may hand a command on to each other."""


def read(data: bytes) -> list[tuple[int, str | Script]]:
    """Return what a module starts, with the line of each call, in order.

    Args:
        data: its source. Of what is no Python, or not in UTF-8, nothing is returned.
    """
    if not may_start(data) or _CODING.match(data):
        return []
    try:
        tree = parse(data.decode("utf-8-sig"))
        return sorted(dict.fromkeys(_Module(tree).found()), key=lambda pair: pair[0])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


class _Module:
    """One module's calls."""

    def __init__(self, tree: ast.Module) -> None:
        self._calls: list[tuple[ast.Call, Scope]] = []
        self._imported: dict[str, str] = {}
        self._handing_on: dict[str, Call] = {}
        self._texts = Texts(self._full_name)
        self._tree = tree

    def found(self) -> Iterator[tuple[int, str | Script]]:
        """Yield what is started, with the line."""
        scope = Scope(None)
        self._visit_all(self._tree.body, scope)
        for _ in range(_ROUNDS):
            known = len(self._handing_on)
            for call, where in self._calls:
                self._hand_on(call, where)
            if len(self._handing_on) == known:
                break
        for call, where in self._calls:
            way = self._way(call)
            value = _argument(call, way) if way else None
            if way and value is not None:
                for one in self._started(call, way, value, where):
                    yield call.lineno, one

    def _visit_all(self, nodes: list[ast.stmt], scope: Scope) -> None:
        for node in nodes:
            self._visit(node, scope)

    def _visit(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.If) and (known := is_true(node.test)) is not None:
            self._visit_all(node.body if known else node.orelse, scope)
        elif isinstance(node, ast.Try) and any(map(_goes_without, node.handlers)):
            self._visit_tried(node, scope)
        elif isinstance(node, _Function | ast.Lambda):
            self._visit_function(node, scope)
        else:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node)
            elif isinstance(node, ast.Call):
                self._calls.append((node, scope))
            self._texts.bind(node, scope)
            inner = Scope(scope, is_class=True) if isinstance(node, ast.ClassDef) else scope
            for child in ast.iter_child_nodes(node):
                self._visit(child, inner)

    def _visit_tried(self, node: ast.Try, scope: Scope) -> None:
        """Pass over what is started where it may be missing; what is bound or imported there counts."""
        for statement in node.body:
            self._texts.bind(statement, scope)
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self._import(statement)
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self._visit(part, scope)

    def _visit_function(self, node: _Function | ast.Lambda, scope: Scope) -> None:
        inner = Scope(scope, function=None if isinstance(node, ast.Lambda) else node)
        self._texts.bind_parameters(node.args, inner)
        if isinstance(node, ast.Lambda):
            self._visit(node.body, inner)
            return
        for child in (*node.decorator_list, *node.args.defaults):
            self._visit(child, scope)
        self._visit_all(node.body, inner)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self._imported[alias.asname or top] = alias.name if alias.asname else top
        elif not node.level and node.module:
            for alias in node.names:
                if alias.name == "*":
                    module = f"{node.module}."
                    own = [name for name in CALLS if name.startswith(module)]
                    self._imported |= {name.removeprefix(module): name for name in own}
                else:
                    self._imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def _full_name(self, node: ast.expr) -> str:
        """Return what a name was imported as (``subprocess.run``); "" for what was not."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._imported:
            return ""
        return ".".join([self._imported[node.id], *reversed(parts)])

    def _way(self, call: ast.Call) -> Call | None:
        """Return how a call takes a command; None where it starts nothing."""
        if found := CALLS.get(self._full_name(call.func)):
            return found
        if isinstance(call.func, ast.Name):
            return self._handing_on.get(call.func.id)
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            is_own = call.func.value.id in {"self", "cls"}
            return self._handing_on.get(f".{call.func.attr}") if is_own else None
        return None

    def _hand_on(self, call: ast.Call, scope: Scope) -> None:
        """Note a function whose parameter is the command of a call in it."""
        way = self._way(call)
        value = _argument(call, way) if way else None
        if way is None or value is None:
            return
        how = self._how(call, way)
        if isinstance(value, ast.Call) and (split := self._texts.split(value)):
            value, how = split, "split"
        inside = scope
        while isinstance(value, ast.Name) and inside.function is None and inside.above:
            inside = inside.above
        if (
            not isinstance(value, ast.Name)
            or inside.function is None
            or inside.values.get(value.id) != [None]
        ):
            return
        names = [one.arg for one in (*inside.function.args.posonlyargs, *inside.function.args.args)]
        method = bool(inside.above and inside.above.is_class)
        if value.id in names:
            bound = method and names[0] in {"self", "cls"}
            key = f".{inside.function.name}" if method else inside.function.name
            self._handing_on.setdefault(key, Call(how, names.index(value.id) - bound, value.id))

    def _how(self, call: ast.Call, way: Call) -> str:
        """Return how a command is taken: with what ``shell=`` says where there is one."""
        if way.how != "command":
            return way.how
        shell = next((each.value for each in call.keywords if each.arg == "shell"), None)
        if shell is None or (isinstance(shell, ast.Constant) and not shell.value):
            return "command"
        return "shell" if isinstance(shell, ast.Constant) else "either"

    def _started(self, call: ast.Call, way: Call, value: ast.expr, scope: Scope) -> Iterator[str | Script]:
        how = self._how(call, way)
        if how in {"command", "either", "shell"}:
            for words in self._texts.lists(value, scope):
                if how == "shell":  # the first of a list is the shell's text
                    yield from (one for text in words[:1] for _, one in started_in(text))
                else:
                    yield from started(words)
        for text in self._texts.texts(value, scope):
            if how in {"shell", "either"}:
                yield from (one for _, one in started_in(text))
            elif how == "split":
                yield from started(text.split())
            elif text.strip(UNKNOWN):
                yield from started([text], anywhere=how != "path")


def _argument(call: ast.Call, way: Call) -> ast.expr | None:
    """Return the argument of a call that is the command."""
    before = call.args[: way.position + 1]
    if len(before) > way.position:
        return None if any(isinstance(one, ast.Starred) for one in before) else before[-1]
    return next((each.value for each in call.keywords if each.arg == way.name), None)


def _goes_without(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler is prepared for a program that is not there."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if not any(isinstance(kind, ast.Name) and kind.id == "FileNotFoundError" for kind in kinds):
        return False
    return not any(
        isinstance(node, ast.Raise) or (isinstance(node, ast.Attribute) and node.attr in {"exit", "_exit"})
        for statement in handler.body
        for node in ast.walk(statement)
    )
