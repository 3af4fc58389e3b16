"""The drawing of the tree of errors is the tree."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cog_nix import errors

_BRANCH = re.compile(r"^ {4}(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+)(?= |$)", re.MULTILINE)
_WIDTH = 4
_TEXTS = (ast.Constant, ast.JoinedStr, ast.BinOp)
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


class Found(NamedTuple):
    """What a file has of errors."""

    bases: dict[str, list[str]]
    """Of each class."""
    writing: set[str]
    """Classes that write their sentence."""
    ready_made: list[str]
    """What is called with a text, once for each call."""


def found_in(path: Path) -> Found:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    classes = [one for one in nodes if isinstance(one, ast.ClassDef)]
    return Found(
        {one.name: list(map(_named, one.bases)) for one in classes},
        {one.name for one in classes if any(getattr(each, "name", "") == "__str__" for each in one.body)},
        [
            _named(one.func)
            for one in nodes
            if isinstance(one, ast.Call) and one.args and isinstance(one.args[0], _TEXTS)
        ],
    )


@cache
def parsed(folder: str) -> dict[str, Found]:
    """Return what the files of a folder have of errors."""
    files = sorted((ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): found_in(path) for path in files}


def actual() -> dict[str, str]:
    """Return the parent of each error of the core; those that are private to a module are passed over."""
    bases = {name: above for one in parsed("cog_nix").values() for name, above in one.bases.items()}

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
    classes = {name: (one, above) for one in files.values() for name, above in one.bases.items()}

    @cache
    def takes_sentence(name: str) -> bool:
        if name == "CogNixError" or name not in classes:
            return name == "CogNixError"
        file, bases = classes[name]
        return name not in file.writing and any(map(takes_sentence, bases))

    counts = {file: sum(map(takes_sentence, one.ready_made)) for file, one in files.items()}
    return {file: count for file, count in sorted(counts.items()) if count}


def test_no_more_sentences_are_ready_made() -> None:
    kept: dict[str, int] = json.loads(KEPT.read_text(encoding="utf-8"))
    more = {file: found for file, found in ready_made().items() if found > kept.get(file, 0)}
    assert not more, (
        f"{more}: give these errors a class that holds what happened, and writes its sentence in __str__"
    )
