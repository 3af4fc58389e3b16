"""The drawing of the tree of errors is the tree."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

from cog_nix import errors

_BRANCH = re.compile(r"^ {4}(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+)(?= |$)", re.MULTILINE)
_WIDTH = 4
ROOT = Path(__file__).resolve().parent.parent
KEPT = Path(__file__).with_name("ready_made_errors.json")
"""How many sentences without a class of their own each file still has; a number here only gets smaller."""


def drawn() -> dict[str, str]:
    """Return the parent of each error, as the module's docstring draws it."""
    above: list[str] = []
    parents = {}
    for line in _BRANCH.finditer(errors.__doc__ or ""):
        depth = len(line["indent"]) // _WIDTH
        del above[depth:]
        parents[line["name"]] = above[-1] if above else ""
        above.append(line["name"])
    return parents


@cache
def parsed(folder: str) -> dict[str, tuple[ast.AST, ...]]:
    """Return all nodes of each file of Python in a folder."""
    return {
        path.relative_to(ROOT).as_posix(): tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def actual() -> dict[str, str]:
    """Return the parent of each error of the core; those that are private to a module are passed over."""
    files = parsed("cog_nix").values()
    classes = [node for nodes in files for node in nodes if isinstance(node, ast.ClassDef)]
    bases = {one.name: [base.id for base in one.bases if isinstance(base, ast.Name)] for one in classes}

    def parent(name: str) -> str | None:
        """Return the nearest error above; None: it is none of ours."""
        for base in bases.get(name, ()):
            if base == "CogNixError" or parent(base) is not None:
                return parent(base) if base.startswith("_") else base
        return None

    found = {name: above for name in bases if (above := parent(name)) and not name.startswith("_")}
    return {"CogNixError": "", **found}


def test_the_tree_is_drawn() -> None:
    assert drawn() == actual()


def test_a_hint_is_no_part_of_the_sentence() -> None:
    error = errors.LockError("It does not fit.", hint="Lock again.")
    error.add_note("  seen at noon")
    assert (str(error), error.message) == ("It does not fit.", "It does not fit.\n  seen at noon")
    assert error.shown() == "It does not fit.\n  seen at noon\n\nLock again."


def _named(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def ready_made() -> dict[str, int]:
    """Count, by file, where an error whose class writes no sentence is given one."""
    files = {**parsed("cog_nix"), **parsed("hooks")}
    classes = {one.name: one for nodes in files.values() for one in nodes if isinstance(one, ast.ClassDef)}

    @cache
    def takes_sentence(name: str) -> bool:
        if name == "CogNixError" or name not in classes:
            return name == "CogNixError"
        writes = any(isinstance(one, ast.FunctionDef) and one.name == "__str__" for one in classes[name].body)
        return not writes and any(takes_sentence(_named(base)) for base in classes[name].bases)

    found = Counter(
        file
        for file, nodes in files.items()
        for node in nodes
        if isinstance(node, ast.Call) and node.args and takes_sentence(_named(node.func))
        if isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.BinOp)
    )
    return dict(sorted(found.items()))


def test_no_more_sentences_are_ready_made() -> None:
    kept: dict[str, int] = json.loads(KEPT.read_text(encoding="utf-8"))
    more = {file: found for file, found in ready_made().items() if found > kept.get(file, 0)}
    assert not more, (
        f"{more}: give these errors a class that holds what happened, and writes its sentence in __str__"
    )
