"""The project: its configuration, its predictor, and names that Cog has given up."""

from __future__ import annotations

import ast
import re
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.build.interface import read_api
from cog_nix.config import load, read_document
from cog_nix.config.deprecations import deprecated_keys, other_warnings
from cog_nix.doctor import fixes, migrate
from cog_nix.errors import CogNixError, SignatureError
from cog_nix.lock import format as lock_format
from cog_nix.plugins.spec import Finding
from cog_nix.resolve.ensure import Policy, completed
from cog_nix.resolve.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cog_nix.config.model import Config, Project
    from cog_nix.plugins.manager import Plugins

_GONE = {
    ("cog.types", "ExperimentalFeatureWarning"): (
        "ExperimentalFeatureWarning was removed in cog 0.17; current_scope().record_metric() is no longer"
        " experimental"
    )
}
"""Names that Cog's package does not have any more, by module, and what upstream says of them."""
_SKIPPED = {".venv", "venv", ".git", ".cog", "node_modules", "__pycache__"}

CONFIG_CHECKS = ("Config parsing", "Config schema", migrate.CHECK, "Deprecated fields", "Predict reference")
PYTHON_CHECKS = ("Pydantic BaseModel workaround", "Deprecated imports", "Type annotations")
"""What upstream's doctor looks at in a project, in its words and order."""
_PARSING, _SCHEMA, _, _FIELDS, _REFERENCE = CONFIG_CHECKS
_WORKAROUND, _IMPORTS, _ANNOTATIONS = PYTHON_CHECKS
_INTERFACE = "Inputs and outputs"
_LOCK = "Lock"

_config = partial(Finding, group="Config")
_python = partial(Finding, group="Python")


def examine(project: Project, plugins: Plugins) -> Iterator[Finding]:
    """Look at cog.yaml, the predictor, and the Python files beside them.

    Yields:
        What is wrong; where nothing is, each check with ``ok``.
    """
    found = [*_configuration(project, plugins), *_source(project)]
    reported = {one.check for one in found}
    yield from found
    for name in CONFIG_CHECKS:
        if name not in reported:
            yield _config(name, "ok", "")
    for name in PYTHON_CHECKS:
        if name not in reported:
            yield _python(name, "ok", "")


def _configuration(project: Project, plugins: Plugins) -> Iterator[Finding]:
    name = project.config_path.name
    wrong = partial(_config, severity="error", file=name)
    try:
        document = read_document(project)
    except CogNixError as error:
        remedy = error.hint or f"Fix the YAML syntax in {name}"
        yield wrong(_PARSING, message=f"{name} has invalid YAML: {error.message}", remedy=remedy)
        return
    outdated = migrate.findings(project)
    yield from outdated
    try:
        config = load(project, references=False).config
    except CogNixError as error:
        remedy = error.hint or f"Fix the configuration errors in {name}"
        yield wrong(_SCHEMA, message=f"{name} validation failed: {error.message}", remedy=remedy)
        return
    for warning in other_warnings(document, project.root):
        yield _config(_SCHEMA, "warning", warning, f"Change {name} as it says.")
    for key in deprecated_keys(document):
        if key.name == "predict" and outdated:
            continue
        message = f'"{key.name}" is deprecated: {key.advice}'
        line = document.line(*key.location)
        yield _config(_FIELDS, "warning", message, f'Use "{key.replacement}" instead', file=name, line=line)
    yield from reference_problems(project, config) or _interface(project, config)
    yield lock(project, config, plugins)


def reference_problems(project: Project, config: Config) -> list[Finding]:
    """Look for the file and the class that ``run:`` or ``predict:`` names."""
    file, _, wanted = (config.predict or "").partition(":")
    name = project.config_path.name
    if not file:
        return []
    tree = _parsed(project.root / file)
    if not (project.root / file).exists():
        remedy = f"Create {file} or update the predict field in {name}"
        return [_config(_REFERENCE, "error", f"{file} not found", remedy, file=name)]
    if tree is None or any(one.name == wanted for one in _definitions(tree)):
        return []  # a file that is not Python: what reads the interface says so
    message = f'class "{wanted}" not found in {file}'
    if classes := [one.name for one in tree.body if isinstance(one, ast.ClassDef)]:
        message += f"; found: {', '.join(classes)}"
    remedy = f"Add class {wanted} to {file} or update the predict field in {name}"
    return [_config(_REFERENCE, "error", message, remedy, file=file)]


def _interface(project: Project, config: Config) -> Iterator[Finding]:
    """Read the interface; as upstream has it, a missing type is a warning, and no model at all is right."""
    if not (config.predict or config.train):
        yield _config(_INTERFACE, "ok", "there is no model: this is an environment for commands")
        return
    if unannotated := list(_unannotated(project, config)):
        yield from unannotated
        return
    try:
        api = read_api(project, config, None)
    except (CogNixError, SignatureError) as error:
        remedy = error.hint or "Fix the file that it names."
        yield _config(_INTERFACE, "error", error.message, remedy)
        return
    for pitfall in api.pitfalls:
        yield _config(_INTERFACE, "warning", pitfall, "Wrap what is done inside, not the function.")
    if not api.pitfalls:
        yield _config(_INTERFACE, "ok", "")


def _unannotated(project: Project, config: Config) -> Iterator[Finding]:
    for reference, methods in ((config.predict, ("run", "predict")), (config.train, ("train",))):
        file, _, wanted = (reference or "").partition(":")
        tree = _parsed(project.root / file) if file else None
        for node in _definitions(tree) if tree else ():
            if node.name == wanted and isinstance(node, ast.ClassDef):
                named = {one.name: one for one in node.body if isinstance(one, _Function)}
                method = next((named[name] for name in methods if name in named), None)
                if method and method.returns is None:
                    yield _python(
                        _ANNOTATIONS,
                        "warning",
                        f"{wanted}.{method.name}() is missing a return type annotation",
                        f"Add a return type annotation: def {method.name}(self, ...) -> YourType:",
                        file=file,
                        line=method.lineno,
                    )


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _definitions(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in tree.body if isinstance(node, ast.ClassDef | _Function))


def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, ValueError, SyntaxError):
        return None


def python_files(root: Path) -> Iterator[Path]:
    """Yield the project's own Python files, in order."""
    for path in sorted(root.rglob("*.py")):
        if not _SKIPPED & set(path.relative_to(root).parts):
            yield path


def _source(project: Project) -> Iterator[Finding]:
    for path in python_files(project.root):
        yield from source(path, path.relative_to(project.root).as_posix())


def source(path: Path, name: str) -> Iterator[Finding]:
    """Look at the imports and classes at the top of a file; one that is not Python says nothing here."""
    tree = _parsed(path)
    if tree is None:
        return
    text = path.read_bytes()
    wrong = partial(_python, severity="error", file=name)
    drop = partial(fixes.without_imports, gone=_GONE.keys())
    for node in tree.body:
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if isinstance(node, ast.ImportFrom) and (why := _GONE.get((node.module or "", alias.name))):
                remedy = f"Remove the import of {alias.name} from {node.module}"
                fix = _fix(path, text, drop)
                yield wrong(_IMPORTS, message=why, remedy=remedy, fix=fix, line=node.lineno)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and _is_workaround(node, tree)]
    switch = partial(fixes.with_cogs_base_model, classes={node.name for node in classes})
    for node in classes:
        message = (
            f"{node.name} inherits from pydantic.BaseModel with {fixes.SETTING}; use cog.BaseModel instead"
        )
        remedy = f"Replace pydantic.BaseModel with cog.BaseModel and remove ConfigDict({fixes.SETTING}=True)"
        fix = _fix(path, text, switch)
        yield wrong(_WORKAROUND, message=message, remedy=remedy, fix=fix, line=node.lineno)


def _fix(path: Path, text: bytes, change: Callable[[bytes], bytes | None]) -> Callable[[], None] | None:
    """Return what changes a file, where the change is a plain one."""
    return partial(fixes.apply, path, change) if change(text) is not None else None


def lock(project: Project, config: Config, plugins: Plugins) -> Finding:
    """Compare the lock with what is asked for."""
    name = project.lock_path.name
    try:
        found = lock_format.read(project.lock_path, project.platform)
        request = completed(Request(project, config, plugins.settings(project)), found, plugins, Policy())
        fresh = found is not None and found.inputs == request.digest
    except CogNixError as error:
        return _config(_LOCK, "error", error.message, error.hint)
    if found is None:
        return _config(_LOCK, "ok", f"there is no {name} yet; the first build makes it")
    if not fresh:
        text = f"{name} does not fit {project.config_path.name} any more"
        return _config(_LOCK, "error", text, "cog-nix build --update-lock")
    return _config(_LOCK, "ok", f"{name} fits")


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
