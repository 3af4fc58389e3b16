"""The parameters of an entry point, and what ``Input(...)`` says about them."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from cog_nix.signature.annotations import annotation
from cog_nix.signature.choices import advice, lost
from cog_nix.signature.input_types import InputTypes, element
from cog_nix.signature.literals import (
    UnknownValueError,
    boolean,
    choices,
    constant_or_name,
    number,
    string,
    string_or_name,
)
from cog_nix.signature.model import Constraints, Input, OneOf
from cog_nix.signature.refusal import RefusalError, unsupported
from cog_nix.signature.syntax import Argument, Expression, FunctionNode, classes, functions, located
from cog_nix.system.values import frozen, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.signature.model import Constant, Type
    from cog_nix.signature.project import Module
    from cog_nix.signature.syntax import Part, Source

_UINT64 = 2**64

_ArgumentReader = Callable[[Constraints, Expression], Constraints]


@frozen
class Parameter:
    """A parameter as written.

    Args:
        node: its name and annotation.
        default: what stands behind ``=``.
        starred: whether it is ``*args`` or ``**kwargs``.
    """

    node: ast.arg
    default: ast.expr | None = None
    starred: bool = False


def parameters(function: FunctionNode) -> Iterator[Parameter]:
    """Yield a function's parameters in the order they are written."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    missing = len(positional) - len(given.defaults)
    for index, node in enumerate(positional):
        yield Parameter(node, given.defaults[index - missing] if index >= missing else None)
    if given.vararg is not None:
        yield Parameter(given.vararg, starred=True)
    for node, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield Parameter(node, default)
    if given.kwarg is not None:
        yield Parameter(given.kwarg, starred=True)


class InputReader:
    """Reads the parameters of one module's functions.

    Args:
        module: the module.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        self._source: Source = module.source
        self._types = InputTypes(module.imports, module.records.typed_dicts)
        self.pitfalls: dict[str, None] = {}
        """Sentences on what was read and is hardly meant, in order; each begins with ``file:line``."""

    def read(self, function: FunctionNode) -> tuple[Input, ...]:
        """Return the inputs of an entry point.

        Raises:
            RefusalError: a parameter has no type, one that Cog does not know, or a default that is not known.
        """
        found: dict[str, Input] = {}
        order = 0
        for parameter in parameters(function):
            node = parameter.node
            if node.annotation is None and (parameter.default is None or parameter.starred):
                continue  # self, and what Cog passes over in silence
            with located(self._source, node):
                read = self._read(parameter, function.name, order)
            found[read.name] = read
            order += 1
        return tuple(found.values())

    def _read(self, parameter: Parameter, function: str, order: int) -> Input:
        node = parameter.node
        name = node.arg
        if node.annotation is None:
            raise RefusalError(
                f"parameter '{name}' on {function} has no type annotation",
                f"Write {name}: str = ..., for example.",
            )
        if parameter.starred:
            raise RefusalError(
                f"parameter '{name}' on {function} takes any number of values", "Name each input on its own."
            )
        written = self._source.expression(node.annotation, self._source.start(node))
        found = self._types.resolve(annotation(self._source, written))
        constraints = Constraints()
        if parameter.default is not None:
            value = self._source.expression(parameter.default, self._source.end(node.annotation))
            constraints = self._constraints(name, value)
        _check(name, found, constraints)
        return Input(name, order, found, constraints, node.lineno)

    def _constraints(self, name: str, value: Expression) -> Constraints:
        if self._is_input(value):
            return self._of_call(value.node, name)
        shared = self._shared(value)
        if shared is not None:
            return shared
        try:
            return Constraints(default=constant_or_name(self._source, value, self._module.constants))
        except UnknownValueError:
            text = self._source.written(value)
            raise RefusalError(
                f"parameter '{name}': default `{text}` cannot be statically resolved",
                "Defaults are read, not run: write a literal (text, a number, True, None, a list).",
            ) from None

    def _is_input(self, value: Expression) -> bool:
        if value.parenthesised or not isinstance(value.node, ast.Call):
            return False
        name = self._source.slice(self._source.start(value.node), self._source.end(value.node.func))
        return name == "Input" or self._module.imports.means(name, "Input", {"cog"})

    def _of_call(self, call: ast.expr, name: str) -> Constraints:
        found = Constraints()
        for part in self._source.arguments(call) if isinstance(call, ast.Call) else []:
            if isinstance(part, Argument):
                found = self._with(found, part, name)
        return found

    def _with(self, found: Constraints, given: Argument, name: str) -> Constraints:
        """Return the constraints with one more argument; what is not known is passed over, as Cog does."""
        if given.name == "default_factory":
            raise RefusalError(
                f"parameter '{name}': default_factory is not supported in static schema generation",
                "Write a literal: default=[...].",
            )
        reader = self._arguments.get(given.name)
        try:
            return reader(found, given.value) if reader else found
        except UnknownValueError:
            if given.name == "default":
                return replace(found, default=None)
            if given.name == "choices":
                raise RefusalError(
                    f"parameter '{name}': choices expression cannot be statically resolved",
                    advice(given.value.node, self._module),
                ) from None
            return found

    @cached_property
    def _arguments(self) -> dict[str, _ArgumentReader]:
        """How each argument of ``Input(...)`` is read."""
        source, known = self._source, self._module.constants
        return {
            "default": lambda found, given: replace(found, default=constant_or_name(source, given, known)),
            "description": lambda found, given: replace(
                found, description=string_or_name(source, given, known)
            ),
            "ge": lambda found, given: replace(found, ge=number(source, given)),
            "le": lambda found, given: replace(found, le=number(source, given)),
            "min_length": lambda found, given: replace(found, min_length=_unsigned(number(source, given))),
            "max_length": lambda found, given: replace(found, max_length=_unsigned(number(source, given))),
            "regex": lambda found, given: replace(found, regex=string(source, given)),
            "choices": lambda found, given: replace(found, choices=self._choices(given)),
            "deprecated": lambda found, given: replace(found, deprecated=boolean(given)),
            "accept": lambda found, given: replace(found, accept=string(source, given)),
        }

    def _choices(self, given: Expression) -> tuple[Constant, ...]:
        found = choices(self._source, given, self._module.constants)
        hint = lost(given.node, found, self._module)
        if hint:
            self.pitfalls[
                f"{self._source.path}:{given.node.lineno}: of {self._source.text(given.node)}, the schema has"
                f" {len(found) or 'none'}: entries of a dict that are not literals are passed over. {hint}"
            ] = None
        return found

    def _shared(self, value: Expression) -> Constraints | None:
        """Return what ``Class.attribute`` or ``Class.method(...)`` stands for, if it is an ``Input(...)``."""
        if value.parenthesised:
            return None
        if isinstance(value.node, ast.Attribute):
            return self._attributes.get(self._source.text(value.node))
        if isinstance(value.node, ast.Call) and isinstance(value.node.func, ast.Attribute):
            method = self._methods.get(self._source.text(value.node.func))
            if method is not None:
                return self._called(method, value.node)
        return None

    def _called(self, method: _Method, call: ast.Call) -> Constraints:
        given: dict[str, Part] = {}
        position = 0
        for part in self._source.arguments(call):
            if isinstance(part, Argument):
                given[part.name] = part.value
            elif position < len(method.parameters):
                given[method.parameters[position]] = part
                position += 1
        found = method.returns
        for name in ("default", "description", "ge", "le"):  # Cog looks at no other argument here,
            override = given.get(name)
            if not isinstance(override, Expression) or (
                isinstance(override.node, ast.Name) and name in {"default", "description"}
            ):  # nor at names of constants (``inf`` and ``nan`` are numbers)
                continue
            try:
                found = self._arguments[name](found, override)
            except UnknownValueError:
                continue
        return found

    @cached_property
    def _attributes(self) -> dict[str, Constraints]:
        """What class attributes in this module stand for, by ``Class.attribute``."""
        found = {}
        for owner in classes(self._source.tree.body):
            for node in owner.body:
                assigned = (
                    self._source.assigned(node) if isinstance(node, ast.Assign | ast.AnnAssign) else None
                )
                if assigned is None or assigned[1] is None or not self._is_input(assigned[1]):
                    continue
                key = f"{owner.name}.{assigned[0]}"
                try:
                    found[key] = self._of_call(assigned[1].node, key)
                except RefusalError:
                    continue
        return found

    @cached_property
    def _methods(self) -> dict[str, _Method]:
        """The methods in this module that return an ``Input(...)``, by ``Class.method``."""
        found = {}
        for owner in classes(self._source.tree.body):
            for function in functions(owner.body):
                call = self._returned_input(function)
                if call is None:
                    continue
                key = f"{owner.name}.{function.name}"
                names = [given.node.arg for given in parameters(function) if not given.starred]
                try:
                    returns = self._of_call(call, key)
                except RefusalError:
                    continue
                found[key] = _Method(tuple(name for name in names if name not in {"self", "cls"}), returns)
        return found

    def _returned_input(self, function: FunctionNode) -> ast.expr | None:
        for node in function.body:
            if isinstance(node, ast.Return) and node.value is not None:
                value = self._source.expression(node.value, self._source.start(node))
                if self._is_input(value):
                    return value.node
        return None


@frozen
class _Method:
    """A method that returns an ``Input(...)``."""

    parameters: tuple[str, ...]
    returns: Constraints


def _unsigned(value: float) -> int:
    """Return a length as Cog stores it: 64 bits, truncated, a negative one wrapped around."""
    if math.isnan(value) or not -(2**63) <= value < _UINT64:
        return 2**63
    return int(value) % _UINT64


def _check(name: str, found: Type, constraints: Constraints) -> None:
    if constraints.accept is not None and element(found) not in {"Path", "File"}:
        raise RefusalError(
            f"accept is only valid on Path or File inputs (parameter '{name}')",
            "Leave accept away, or take a Path.",
        )
    limits = (
        constraints.ge,
        constraints.le,
        constraints.min_length,
        constraints.max_length,
        constraints.regex,
    )
    if isinstance(found, OneOf) and (constraints.choices or any(limit is not None for limit in limits)):
        raise unsupported("constraints and choices are not supported on union inputs", "Leave them away.")
