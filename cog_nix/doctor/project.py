"""The project: its configuration, its predictor, and names that Cog has given up."""

from __future__ import annotations

import ast
import re
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.build.interface import read_api
from cog_nix.config import load, load_settings
from cog_nix.doctor import mend, migrate
from cog_nix.errors import CogNixError, SignatureError
from cog_nix.lock import format as lock_format
from cog_nix.plugins.spec import Finding
from cog_nix.resolve import cog_base, inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.config.model import Config, Project

_GONE = {("cog.types", "ExperimentalFeatureWarning"): "it was removed in cog 0.17"}
"""Names that Cog's package does not have any more, by module, and since when."""
_SKIPPED = {".venv", "venv", ".git", ".cog", "node_modules", "__pycache__"}


def examine(project: Project) -> Iterator[Finding]:
    """Look at cog.yaml, the predictor, and the Python files beside them."""
    name = project.config_path.name
    try:
        loaded = load(project)
    except CogNixError as error:
        yield Finding("configuration", "error", error.message, error.hint or f"Fix {name}.")
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
        api = read_api(project, loaded.config, None)
        yield Finding("predictor", "ok", "inputs and outputs can be described")
        for pitfall in api.pitfalls:
            yield Finding("predictor", "warning", pitfall, "Wrap what is done inside, not the function.")
    except (CogNixError, SignatureError) as error:
        yield Finding("predictor", "error", error.message, error.hint or "Fix the file that it names.")
    yield lock(project, loaded.config)
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
        text = path.read_bytes()
        tree = ast.parse(text)
    except (OSError, ValueError, SyntaxError):
        return
    drop = partial(mend.without_imports, gone=_GONE.keys())
    for node in tree.body:
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if isinstance(node, ast.ImportFrom) and (why := _GONE.get((node.module or "", alias.name))):
                yield Finding(
                    "imports",
                    "error",
                    f"{name}:{node.lineno}: {alias.name} cannot be imported: {why}",
                    f"Remove the import of {alias.name}, and what is done with it.",
                    _fix(path, text, drop),
                )
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and _is_workaround(node, tree)]
    switch = partial(mend.with_cogs_base_model, classes={node.name for node in classes})
    for node in classes:
        yield Finding(
            "output classes",
            "error",
            f"{name}:{node.lineno}: {node.name} is pydantic's BaseModel with {mend.SETTING}",
            "Use cog.BaseModel, which takes Path and File, and remove the setting.",
            _fix(path, text, switch),
        )


def _fix(path: Path, text: bytes, change: Callable[[bytes], bytes | None]) -> Callable[[], None] | None:
    """Return what changes a file, where the change is a plain one."""
    return partial(mend.apply, path, change) if change(text) is not None else None


def lock(project: Project, config: Config) -> Finding:
    """Compare the lock with what is asked for."""
    name = project.lock_path.name
    try:
        found = lock_format.read(project.lock_path)
        settings = cog_base.settled(load_settings(project), found)
        fresh = found is not None and found.inputs == inputs.digest(config, settings, project.root)
    except CogNixError as error:
        return Finding("lock", "error", error.message, error.hint)
    if found is None:
        return Finding("lock", "ok", f"there is no {name} yet; the first build makes it")
    if not fresh:
        text = f"{name} does not fit {project.config_path.name} any more"
        return Finding("lock", "error", text, "cog-nix build --update-lock")
    return Finding("lock", "ok", f"{name} fits")


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
