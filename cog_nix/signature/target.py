"""The function that a reference in cog.yaml means."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from cog_nix.signature.imports import submodule
from cog_nix.signature.literals import UnknownValueError, constant
from cog_nix.signature.refusal import RefusalError, unsupported
from cog_nix.signature.syntax import Argument, Expression, FunctionNode, classes, functions, located
from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.signature.model import Mode
    from cog_nix.signature.project import Module

_TRANSPARENT = ("staticmethod", "classmethod", "override", "typing.override", "final", "typing.final")
"""Decorators that return the function itself, or what the runtime looks into."""


@frozen
class Target:
    """An entry point.

    Args:
        function: its definition.
        module: the module that it is in, which need not be the one that cog.yaml names.
        is_legacy: whether it is a ``predict`` method, which Cog calls ``run`` now.
    """

    function: FunctionNode
    module: Module
    is_legacy: bool = False

    @property
    def is_async(self) -> bool:
        """Whether it is an ``async def``."""
        return isinstance(self.function, ast.AsyncFunctionDef)

    @property
    def is_streaming(self) -> bool:
        """Whether it is marked ``@cog.streaming``."""
        return any(
            not expression.parenthesised and self._is_cog(expression.node, "streaming")
            for expression in self._decorators()
        )

    def concurrency(self) -> int | None:
        """Return ``max`` of ``@cog.concurrent``, one when it has none, and None without the decorator.

        Raises:
            RefusalError: it is no whole number above zero, or more than one without ``async``.
        """
        for expression in self._decorators():
            if not expression.parenthesised and self._is_cog(expression.node, "concurrent"):
                with located(self.module.source, expression.node):
                    found = self._maximum(expression.node)
                    if found > 1 and not self.is_async:
                        raise RefusalError(
                            "@concurrent(max > 1) requires an async run() or predict() method",
                            f"Write async def {self.function.name}(...), or leave the decorator away.",
                        )
                return found
        return None

    def pitfalls(self) -> tuple[str, ...]:
        """Return what a decorator that wraps the function does to inputs that are left out.

        The runtime of Cog 0.23.1 (coglet, ``unwrap_field_info_defaults``) puts defaults in the place of
        ``Input(…)`` in ``__defaults__`` of what it finds under the function's name, and that is the wrapper.
        """
        given = self.function.args
        inputs = [*given.posonlyargs, *given.args][-len(given.defaults) :] if given.defaults else []
        pairs = [
            *zip(inputs, given.defaults, strict=True),
            *zip(given.kwonlyargs, given.kw_defaults, strict=True),
        ]
        hidden = [name.arg for name, value in pairs if isinstance(value, ast.Call) and _has_default(value)]
        wrapper = next((one.node for one in self._decorators() if not self._is_transparent(one.node)), None)
        if wrapper is None or not hidden:
            return ()
        source = self.module.source
        written = source.text(wrapper)
        text = (
            f"{source.path}:{wrapper.lineno}: if @{written} wraps {self.function.name}(), Cog's runtime"
            f" does not find the default of Input() for {', '.join(hidden)}, and passes the Input itself when"
            f" it is left out. Without the decorator it does; a context manager can be used inside:"
            f" with {written}:"
        )
        return (text,)

    def _is_transparent(self, node: ast.expr) -> bool:
        return self.module.source.text(node) in _TRANSPARENT or any(
            self._is_cog(node, name) for name in ("concurrent", "streaming")
        )

    def _decorators(self) -> Iterator[Expression]:
        source = self.module.source
        return (Expression(node, source.is_opened(node)) for node in self.function.decorator_list)

    def _is_cog(self, node: ast.expr, original: str) -> bool:
        if isinstance(node, ast.Call):
            node = node.func
        if not isinstance(node, ast.Name | ast.Attribute):
            return False
        return self.module.imports.is_cog(self.module.source.text(node), original)

    def _maximum(self, node: ast.expr) -> int:
        given = self.module.source.arguments(node) if isinstance(node, ast.Call) else []
        if not given:
            return 1
        hint = "Write @concurrent(max=4), for example, on one line and without a comment inside."
        if len(given) != 1 or not isinstance(given[0], Argument) or given[0].name != "max":
            raise RefusalError("@concurrent only supports literal integer max=... arguments", hint)
        try:
            value = constant(self.module.source, given[0].value)
        except UnknownValueError:
            value = None
        if not isinstance(value, int) or isinstance(value, bool):
            raise RefusalError("@concurrent max must be an integer literal", hint)
        if value < 1:
            raise RefusalError("@concurrent max must be at least 1", hint)
        return value


def _has_default(call: ast.Call) -> bool:
    """Say whether ``Input(…)`` has a default; without one the input cannot be left out."""
    return bool(call.args) or any(keyword.arg == "default" for keyword in call.keywords)


def find_target(module: Module, name: str, mode: Mode, sdk: str = "") -> Target:
    """Return the entry point called ``name``.

    Args:
        module: the file that cog.yaml names.
        name: a class or a function in it. When it has neither, a function called like the mode will do.
        mode: ``predict`` or ``train``.
        sdk: the SDK, where it is one that knows ``predict`` alone.

    Raises:
        RefusalError: there is none.
    """
    for owner in classes(module.source.tree.body):
        if owner.name == name:
            with located(module.source, owner):
                return _method(module, owner, mode, sdk)
    for wanted in (name, mode):
        for function in functions(module.source.tree.body):
            if function.name == wanted:
                return Target(function, module)
    known = [node.name for node in (*classes(module.source.tree.body), *functions(module.source.tree.body))]
    hint = (
        f"{module.source.path} defines {', '.join(known[:8])}."
        if known
        else f"{module.source.path} defines nothing."
    )
    raise RefusalError(
        f"predictor not found: {name}", f"{hint} Name one of its classes or functions in cog.yaml."
    )


def _method(module: Module, owner: ast.ClassDef, mode: Mode, sdk: str) -> Target:
    if mode == "train":
        for function in functions(owner.body):
            if function.name == "train":
                return Target(function, module)
        raise RefusalError(f"{owner.name}.train not found", f"Add a method train to {owner.name}.")
    run, predict = _predict_methods(module, owner, set())
    if run is not None and not sdk:
        return run
    if predict is not None:
        return Target(predict.function, predict.module, is_legacy=True)
    if sdk:
        raise RefusalError(
            f"{owner.name} must define predict()",
            f"cog {sdk} calls that. Add a method predict to {owner.name}.",
            is_missing=True,
        )
    raise RefusalError(
        f"{owner.name} must define run() or predict()", f"Add a method run to {owner.name}.", is_missing=True
    )


def _predict_methods(
    module: Module, owner: ast.ClassDef, seen: set[ast.ClassDef]
) -> tuple[Target | None, Target | None]:
    """Return ``run`` and ``predict`` of a class, its own or inherited within the project."""
    if owner in seen:
        return None, None
    seen.add(owner)
    found: dict[str, Target | None] = {"run": None, "predict": None}
    for function in functions(owner.body):
        if function.name in found:
            found[function.name] = Target(function, module)
    run, predict = found["run"], found["predict"]
    for base in owner.bases:
        parent = _parent(module, base)
        if parent is not None:
            inherited_run, inherited_predict = _predict_methods(*parent, seen)
            run = run or inherited_run
            predict = predict or inherited_predict
    return run, predict


def _parent(module: Module, base: ast.expr) -> tuple[Module, ast.ClassDef] | None:
    if not isinstance(base, ast.Name | ast.Attribute):
        return None
    name = module.source.text(base)
    owner = _class(module, name)
    if owner is not None:
        return module, owner
    head, dot, rest = name.partition(".")
    origin = module.imports.names.get(head)
    if origin is None:
        return None
    importer = module.source.path
    parent = module.project.module(origin.module, importer)
    if parent is None:
        parent = module.project.module(submodule(origin), importer)
    if parent is None:
        return None
    owner = _class(parent, rest if dot else origin.name)
    return None if owner is None else (parent, owner)


def _class(module: Module, name: str) -> ast.ClassDef | None:
    return next((node for node in classes(module.source.tree.body) if node.name == name), None)


def streaming_needs_iterator() -> RefusalError:
    """Return the refusal of ``@cog.streaming`` on a function that returns all at once."""
    return unsupported(
        "@streaming requires Iterator[...], AsyncIterator[...], ConcatenateIterator[...] or "
        "AsyncConcatenateIterator[...] return type",
        "Return an iterator, or leave the decorator away.",
    )
