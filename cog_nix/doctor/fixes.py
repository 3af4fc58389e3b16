"""Changes of Python files that the doctor makes by itself: away from what Cog has given up.

Only the plain case is changed, where every use of a name is seen and understood. Everything else is left to
whoever wrote it: a function here then returns None. Statements go as whole lines; all other bytes stay.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from cog_nix.errors import UnreadableFileError
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

SETTING = "arbitrary_types_allowed"
_DICTIONARIES = {"ConfigDict", "dict"}

Change = tuple[ast.stmt, str]
"""A statement, and the code that takes its place; "" for none."""


def apply(path: Path, change: Callable[[bytes], bytes | None]) -> None:
    """Change a file; one that cannot be changed any more stays as it is.

    Raises:
        CogNixError: it cannot be read or written.
    """
    try:
        source, mode = path.read_bytes(), path.stat().st_mode & 0o777
    except OSError as error:
        raise UnreadableFileError(path, error) from error
    changed = change(source)
    if changed is not None:
        write_atomically(path, changed, mode)


def without_imports(source: bytes, gone: Collection[tuple[str, str]]) -> bytes | None:
    """Remove imports of names that are gone, and the calls at the top level that use them.

    Args:
        source: of a module.
        gone: module and name of each.

    Returns:
        The new source; None where it has to be changed by hand, or there is nothing to change.
    """
    tree = ast.parse(source)
    changes: list[Change] = []
    names: set[str] = set()
    for node in _imports_from(tree):
        dropped = {one.name for one in node.names if (node.module or "", one.name) in gone}
        if dropped:
            names |= {one.asname or one.name for one in node.names if one.name in dropped}
            changes.append((node, _without(node, dropped)))
    using = [node for node in tree.body if names & set(_names(node))]
    if not changes or not all(isinstance(node, ast.Expr) for node in using):
        return None
    changes += [(node, "") for node in using]
    orphans = {name for node in using for name in _names(node)} - _used(tree, except_in=using)
    for other in tree.body:
        if isinstance(other, ast.Import) and {one.asname or one.name for one in other.names} <= orphans:
            changes.append((other, ""))
    return _changed(source, changes)


def with_cogs_base_model(source: bytes, classes: Collection[str]) -> bytes | None:
    """Let classes inherit from Cog's BaseModel in place of pydantic's, without the setting for other types.

    Args:
        source: of a module.
        classes: names of those that have the setting.

    Returns:
        As :func:`without_imports`.
    """
    tree = ast.parse(source)
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in classes]
    imports = [node for node in _imports_from(tree) if node.module == "pydantic"]
    bound = {one.asname or one.name for node in imports for one in node.names if one.name == "BaseModel"}
    if len(imports) != 1 or len(bound) != 1 or not found or "BaseModel" in _from_cog(tree):
        return None
    bases = [base.id for node in found for base in node.bases if isinstance(base, ast.Name)]
    if sum(name in bound for name in _names(tree)) != len(found) or not bound >= set(bases):
        return None  # pydantic's class has other uses as well
    settings = [[part for part in node.body if _is_setting(part)] for node in found]
    if not all(len(one) == 1 for one in settings):
        return None
    gone = [one[0] for one in settings]
    changes: list[Change] = [
        (part, "pass" if len(node.body) == 1 else "") for node, part in zip(found, gone, strict=True)
    ]
    orphans = {name for node in gone for name in _names(node)} - _used(tree, except_in=gone)
    dropped = {"BaseModel"} | {one.name for one in imports[0].names if (one.asname or one.name) in orphans}
    name = bound.pop()
    ours = "from cog import BaseModel" + ("" if name == "BaseModel" else f" as {name}")
    changes.append((imports[0], "\n".join(filter(None, (ours, _without(imports[0], dropped))))))
    return _changed(source, changes)


def _is_setting(node: ast.stmt) -> bool:
    """Whether a statement of a class allows other types and does nothing else."""
    if isinstance(node, ast.ClassDef):
        alone = node.name == "Config" and len(node.body) == 1 and not node.decorator_list
        return alone and _assigns(node.body[0], SETTING)
    if not _assigns(node, "model_config"):
        return False
    value = node.value if isinstance(node, ast.Assign) else None
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _DICTIONARIES:
        return not value.args and [one.arg for one in value.keywords] == [SETTING]
    if isinstance(value, ast.Dict):
        return [getattr(key, "value", None) for key in value.keys] == [SETTING]
    return False


def _assigns(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == [name]


def _imports_from(tree: ast.Module) -> Iterator[ast.ImportFrom]:
    yield from (node for node in tree.body if isinstance(node, ast.ImportFrom))


def _from_cog(tree: ast.Module) -> set[str]:
    return {one.name for node in _imports_from(tree) if node.module == "cog" for one in node.names}


def _without(node: ast.ImportFrom, names: Collection[str]) -> str:
    """Return an import without some names; "" when none is left."""
    kept = [one for one in node.names if one.name not in names]
    return ast.unparse(ast.ImportFrom(node.module, kept, node.level)) if kept else ""


def _names(node: ast.AST) -> list[str]:
    """Return the names that code uses, each as often as it does; in strings of annotations as well."""
    found = [one.id for one in ast.walk(node) if isinstance(one, ast.Name)]
    texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
    return found + [text for text in texts if isinstance(text, str) and text.isidentifier()]


def _used(tree: ast.Module, *, except_in: Iterable[ast.stmt]) -> set[str]:
    """Return the names that a module uses outside of some statements."""
    left = _names(tree)
    for node in except_in:
        for name in _names(node):
            left.remove(name)
    return set(left)


def _changed(source: bytes, changes: Iterable[Change]) -> bytes | None:
    """Replace statements; None where one shares a line with other code, or holds a comment."""
    lines = source.splitlines(keepends=True)
    for node, code in sorted(changes, key=lambda change: -change[0].lineno):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        head, tail = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
        inside = b"".join(lines[first : last + 1])
        if head.strip() or tail.strip() or b"#" in inside:
            return None
        end = b"\r\n" if inside.endswith(b"\r\n") else b"\n"
        lines[first : last + 1] = [head + line.encode() + end for line in code.split("\n") if line]
    changed = b"".join(lines)
    try:
        ast.parse(changed)
    except SyntaxError:
        return None
    return changed
