"""What to write in place of ``choices=`` that Cog cannot read.

Cog reads a list of literals, the name of a list, ``list(NAMES.keys())`` of a dict of literals, and sums of
these; schemas agree with it to the byte. Here more is understood, to tell the user the very list to write.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

from cog_nix.signature.evaluation import UnknownError, evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.signature.model import Constant
    from cog_nix.signature.project import Module

_Literal = str | int | float | bool
_LONGEST = 300
"""Characters of a list that a hint writes out."""


def advice(node: ast.expr, module: Module) -> str:
    """Return what to write for an expression that Cog does not read.

    Args:
        node: what stands behind ``choices=``.
        module: where it stands.
    """
    values = _values(node, module)
    if values:
        written = f"choices=[{', '.join(_literal(value) for value in values)}]"
        if len(written) <= _LONGEST:
            return f"Write: {written}"
        return f"Write the {len(values)} values as a list of literals, without comments in it: choices=[…]."
    unknown = _unknown_name(node, module) or "the expression"
    return (
        f"The source is read, not run, and what {unknown} has is not written out in this project."
        ' Write the values: choices=["a", "b"].'
    )


def lost(node: ast.expr, read: Sequence[Constant], module: Module) -> str:
    """Return advice where Cog reads fewer choices than there are, else an empty text.

    Cog passes over the entries of a dict whose keys or values are no literals.
    """
    return advice(node, module) if len(_values(node, module)) > len(read) else ""


def _literal(value: _Literal) -> str:
    if not isinstance(value, str):
        return repr(value)
    quoted = repr(value)
    return f'"{quoted[1:-1]}"' if quoted[0] == "'" and '"' not in value and "\\" not in quoted else quoted


def _values(node: ast.expr, module: Module) -> tuple[_Literal, ...]:
    """Return the values that an iterable has, in order; none when they are not known."""
    try:
        found = evaluate(node, module)
    except UnknownError:
        return ()
    if not isinstance(found, list | tuple | dict) or not all(isinstance(one, _Literal) for one in found):
        return ()
    return tuple(found)


def _unknown_name(node: ast.expr, module: Module) -> str:
    """Return the first name whose value is missed, but for Python's own and variables of the expression."""
    names = [inner for inner in ast.walk(node) if isinstance(inner, ast.Name)]
    bound = {*dir(builtins), *(name.id for name in names if isinstance(name.ctx, ast.Store))}
    return next((name.id for name in names if name.id not in bound and not _is_known(name, module)), "")


def _is_known(name: ast.Name, module: Module) -> bool:
    try:
        evaluate(name, module)
    except UnknownError:
        return False
    return True
