"""Conditions on the operating system: an image's is Linux."""

from __future__ import annotations

import ast

_HERE = {
    "os.name": "posix",
    "platform.system()": "Linux",
    "system()": "Linux",
    "sys.platform": "linux",
}


def is_true(test: ast.expr) -> bool | None:
    """Return what a condition is on Linux; None where it depends on something else."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = is_true(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        deciding = isinstance(test.op, ast.Or)
        parts = [is_true(value) for value in test.values]
        if deciding in parts:
            return deciding
        return None if None in parts else not deciding
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compared(test.left, test.ops[0], test.comparators[0])
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Attribute) and len(test.args) == 1:
        here, start = _here(test.func.value), test.args[0]
        if test.func.attr == "startswith" and here and isinstance(start, ast.Constant):
            return isinstance(start.value, str) and here.startswith(start.value)
    return None


def _compared(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> bool | None:
    here = _here(left)
    values = right.elts if isinstance(right, ast.List | ast.Tuple | ast.Set) else [right]
    named = [value.value for value in values if isinstance(value, ast.Constant)]
    if not here or len(named) < len(values):
        return None
    if isinstance(operator, ast.Eq | ast.In):
        return here in named
    return here not in named if isinstance(operator, ast.NotEq | ast.NotIn) else None


def _here(node: ast.expr) -> str:
    """Return what a name of the operating system is; "" for anything else."""
    text = ast.unparse(node)
    if text.endswith(".lower()"):
        return _HERE.get(text.removesuffix(".lower()"), "").lower()
    return _HERE.get(text, "")
