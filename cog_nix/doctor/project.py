"""The project: its configuration, its predictor, and names that Cog has given up."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from cog_nix.api import read_api
from cog_nix.config import load
from cog_nix.doctor import migrate
from cog_nix.errors import CogNixError, SignatureError
from cog_nix.spec import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.config.model import Project

_GONE = {("cog.types", "ExperimentalFeatureWarning"): "it was removed in cog 0.17"}
"""Names that Cog's package does not have any more, by module, and since when."""
_SKIPPED = {".venv", "venv", ".git", ".cog", "node_modules", "__pycache__"}


def examine(project: Project) -> Iterator[Finding]:
    """Look at cog.yaml, the predictor, and the Python files beside them."""
    name = project.config_path.name
    try:
        loaded = load(project)
    except CogNixError as error:
        yield Finding("configuration", "error", error.message, error.hint or f"Mend {name}.")
        return
    finding = migrate.finding(project)
    for warning in loaded.warnings:
        if finding is None or '"predict"' not in warning:
            yield Finding("configuration", "warning", warning, f"Change {name} as it says.")
    if finding:
        yield finding
    elif not loaded.warnings:
        yield Finding("configuration", "ok", f"{name} is right")
    try:
        read_api(project, loaded.config, None)
        yield Finding("predictor", "ok", "inputs and outputs can be described")
    except (CogNixError, SignatureError) as error:
        yield Finding("predictor", "error", error.message, error.hint or "Mend the file that it names.")
    for path in python_files(project.root):
        yield from source(path, path.relative_to(project.root).as_posix())


def python_files(root: Path) -> Iterator[Path]:
    """Yield the project's own Python files, in order."""
    for path in sorted(root.rglob("*.py")):
        if not _SKIPPED & set(path.relative_to(root).parts):
            yield path


def source(path: Path, name: str) -> Iterator[Finding]:
    """Look at the imports and classes at the top of a file; one that is no Python says nothing here."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, ValueError, SyntaxError):
        return
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if why := _GONE.get((node.module or "", alias.name)):
                    text = f"{name}:{node.lineno}: {alias.name} cannot be imported: {why}"
                    yield Finding("imports", "error", text, f"Remove the import of {alias.name}.")
        elif isinstance(node, ast.ClassDef) and _is_workaround(node, tree):
            yield Finding(
                "output classes",
                "error",
                f"{name}:{node.lineno}: {node.name} is pydantic's BaseModel with arbitrary_types_allowed",
                "Use cog.BaseModel, which takes Path and File, and remove the setting.",
            )


def _is_workaround(node: ast.ClassDef, tree: ast.Module) -> bool:
    names = {"pydantic.BaseModel"} | {
        alias.asname or alias.name
        for one in tree.body
        if isinstance(one, ast.ImportFrom) and one.module == "pydantic"
        for alias in one.names
        if alias.name == "BaseModel"
    }
    if not names & {ast.unparse(base) for base in node.bases}:
        return False
    return bool(re.search(r"arbitrary_types_allowed\s*[=:'\"]+[\s:]*True", ast.unparse(node)))
