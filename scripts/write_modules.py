# ruff: noqa: INP001 - a script
"""Write nix/modules.json: the Python modules that each builder needs, found in their imports.

    python scripts/write_modules.py           write it
    python scripts/write_modules.py --check   say whether it is up to date

A derivation sees these files and no others, so an edit of one repeats the builds that run it and leaves the
rest alone (nix/start.nix). What a function imports when it is called counts, what only type checkers see does
not. A file beside a module whose name is a string there counts as well: data, or a program that is started.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
BUILDERS = ROOT / "nix/builders"
TARGET = ROOT / "nix/modules.json"
_PACKAGE = "cog_nix"


class _Imports(ast.NodeVisitor):
    """Collects what a module names: other modules, dotted, and files."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.files: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        only_for_types = ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for child in node.orelse if only_for_types else [*node.body, *node.orelse]:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        self.modules.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or node.module is None:
            sys.exit(
                f"line {node.lineno}: a relative import. Name the package: from {_PACKAGE}.folder import …"
            )
        self.modules.update(f"{node.module}.{alias.name}" for alias in node.names)
        self.modules.add(node.module)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and "." in node.value and "/" not in node.value:
            self.files.add(node.value)


def files_of(module: str) -> Iterator[Path]:
    """Yield the files that importing a module runs: its packages' and its own; none of other libraries."""
    parts = module.split(".")
    if parts[0] != _PACKAGE:
        yield from (path for path in [BUILDERS / f"{parts[0]}.py"] if path.is_file())
        return
    for depth in range(1, len(parts) + 1):
        place = ROOT.joinpath(*parts[:depth])
        yield from (path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file())


@cache
def needed_directly(path: Path) -> frozenset[Path]:
    """Return the files that one file names."""
    if path.suffix != ".py":
        return frozenset()
    found = _Imports()
    found.visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    beside = {file for file in path.parent.iterdir() if file.name in found.files}
    return frozenset(beside.union(*map(files_of, found.modules)))


def needed(path: Path) -> set[Path]:
    """Return a file and all that it needs."""
    found: set[Path] = set()
    pending = [path]
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            pending += needed_directly(one)
    return found


def modules(builder: str) -> dict[str, list[str]]:
    """Return what a builder needs: files of nix/builders, and of the package, in the order of names."""
    found = needed(BUILDERS / f"{builder}.py") | needed(BUILDERS / "start.py")
    own = sorted(path.name for path in found if path.parent == BUILDERS)
    core = sorted(path.relative_to(ROOT / _PACKAGE).as_posix() for path in found if path.parent != BUILDERS)
    return {"builders": own, _PACKAGE: core}


def builders() -> list[str]:
    """Return the modules that derivations run: those that are told something."""
    return sorted(
        path.stem for path in BUILDERS.glob("*.py") if "\ndef main(spec: " in path.read_text("utf-8")
    )


def text() -> str:
    """Return the file."""
    return json.dumps({builder: modules(builder) for builder in builders()}, indent=1) + "\n"


def main() -> None:
    """Write the file, or say that it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    if not parser.parse_args().check:
        TARGET.write_text(text(), encoding="utf-8")
    elif not TARGET.is_file() or TARGET.read_text("utf-8") != text():
        sys.exit("nix/modules.json is not what the imports say. Run: make docs")


if __name__ == "__main__":
    main()
