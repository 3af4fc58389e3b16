"""The drawing of the tree of errors is the tree."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cog_nix import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BRANCH = re.compile(r"^ {4}(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+)(?= |$)", re.MULTILINE)
_WIDTH = 4
_TEXTS = (ast.Constant, ast.JoinedStr, ast.BinOp)
ROOT = Path(__file__).resolve().parent.parent
_ODD = re.compile(r"(?<!there )\b(is|are|was|were) (no (?!longer)\w|none\b)", re.IGNORECASE)
"""What a message does not say: "is no tar" is "is not a tar"."""
_FILLED = "\0"
_ALIKE = 4
"""Words in a row that two sentences do not have in common by chance."""


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
    odd: list[str]
    """Texts that say what something is not as nobody does."""
    ready_made: list[tuple[str, str]]
    """What is called with a text, and the text."""


def found_in(path: Path) -> Found:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    classes = [one for one in nodes if isinstance(one, ast.ClassDef)]
    return Found(
        {one.name: list(map(_named, one.bases)) for one in classes},
        {one.name for one in classes if any(getattr(each, "name", "") == "__str__" for each in one.body)},
        [text for text in _texts(nodes) if _ODD.search(text)],
        [
            (_named(one.func), _text(one.args[0]))
            for one in nodes
            if isinstance(one, ast.Call) and one.args and isinstance(one.args[0], _TEXTS)
        ],
    )


def _texts(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the texts of a file that are not documentation."""
    told = {id(one.value) for one in nodes if isinstance(one, ast.Expr)}
    for one in nodes:
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in told:
            yield one.value


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


def _text(node: ast.expr) -> str:
    """Return a text without what is filled in."""
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    return str(node.value) if isinstance(node, ast.Constant) else _FILLED


def ready_made() -> Iterator[tuple[str, str]]:
    """Yield each sentence that is given to an error whose class writes none, with its file."""
    files = {**parsed("cog_nix"), **parsed("hooks")}
    classes = {name: (one, above) for one in files.values() for name, above in one.bases.items()}

    @cache
    def takes_sentence(name: str) -> bool:
        if name == "CogNixError" or name not in classes:
            return name == "CogNixError"
        file, bases = classes[name]
        return name not in file.writing and any(map(takes_sentence, bases))

    for file, one in files.items():
        yield from ((file, text) for name, text in one.ready_made if takes_sentence(name))


def test_a_sentence_of_no_class_stands_in_one_place() -> None:
    places = defaultdict(list)
    for file, text in ready_made():
        for piece in text.split(_FILLED):
            words = piece.split()
            runs = {" ".join(words[at : at + _ALIKE]) for at in range(len(words) - _ALIKE + 1)}
            for run in runs:
                places[run].append(file)
    assert places, "the sentences were not found"
    assert {run: files for run, files in places.items() if len(files) > 1} == {}, (
        "give these errors one class that holds what happened, and writes its sentence in __str__"
    )


def test_messages_are_plain() -> None:
    files = {**parsed("cog_nix"), **parsed("hooks")}
    assert {file: one.odd for file, one in files.items() if one.odd} == {}
