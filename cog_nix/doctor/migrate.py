"""From ``predict.py:Predictor`` to ``run.py:Runner``, the names that Cog has now.

Only the shape that ``cog init`` once made is changed: a ``predict.py`` with a class ``Predictor``. Names are
replaced as tokens, so comments, strings and layout stay.
"""

from __future__ import annotations

import io
import re
import tokenize
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError, UnreadableFileError
from cog_nix.plugins.spec import Finding
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.config.model import Project

_REFERENCE = re.compile(
    r"""^predict[ \t]*:[ \t]*(["']?)predict\.py:Predictor\1(?=[ \t]*(?:#.*)?\r?$)""", re.MULTILINE
)
_KEY = re.compile(r"^predict[ \t]*:", re.MULTILINE)
_RUN_KEY = re.compile(r"^run[ \t]*:", re.MULTILINE)
_NAMES = {"Predictor": "Runner", "BasePredictor": "BaseRunner"}
_CHECK = "names"


def finding(project: Project) -> Finding | None:
    """Return what there is to change, with what changes it where that is safe."""
    text = _read(project.config_path)
    name = project.config_path.name
    if not _KEY.search(text):
        return None
    message = f'{name}: "predict" is deprecated; use "run"'
    try:
        migrated(project)
    except CogNixError as error:
        return Finding(_CHECK, "warning", message, f"{error.message} Change it by hand.")
    remedy = "cog-nix doctor --fix makes predict.py:Predictor run.py:Runner."
    return Finding(_CHECK, "warning", message, remedy, partial(apply, project))


def migrated(project: Project) -> tuple[str, str]:
    """Return the new texts of cog.yaml and of run.py.

    Raises:
        CogNixError: it is not the shape that can be changed without asking.
    """
    config = _read(project.config_path)
    if _RUN_KEY.search(config):
        raise CogNixError('"run" is set as well.')
    if not _REFERENCE.search(config):
        raise CogNixError("Only predict.py:Predictor can be changed by itself.")
    if (project.root / "run.py").exists():
        raise CogNixError("There is a run.py already.")
    source = _read(project.root / "predict.py")
    return _REFERENCE.sub('run: "run.py:Runner"', config), renamed(source)


def renamed(source: str) -> str:
    """Return a predictor's source with the new names.

    Raises:
        CogNixError: it has no class Predictor, has the new names already, or is no Python.
    """
    lines = io.StringIO(source).readlines()  # the tokenizer's lines; str has more kinds of line ends
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise CogNixError(f"predict.py is not Python: {error}.") from error
    names = [token for token in tokens if token.type == tokenize.NAME]
    words = {token.string for token in names}
    if "Predictor" not in words or words & {"Runner", "BaseRunner"}:
        raise CogNixError("predict.py has no class Predictor, or has the new names already.")
    before = {id(after): token.string for token, after in pairwise(tokens)}
    if any(token.string == "run" and before.get(id(token)) == "def" for token in names):
        raise CogNixError("predict.py has a function run already.")
    for token in reversed(names):
        new = _NAMES.get(token.string)
        if token.string == "predict" and before.get(id(token)) == "def" and token.start[1] > len("def "):
            new = "run"  # the method; a function of the module has no indentation
        if new:
            row, column = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:column] + new + line[column + len(token.string) :]
    text = "".join(lines)
    return re.sub(r"\bself\.predict\(", "self.run(", text)


def apply(project: Project) -> None:
    """Write the new files, then remove the old one: a cut leaves a project that works.

    Raises:
        CogNixError: a file cannot be written.
    """
    config, source = migrated(project)
    old = project.root / "predict.py"
    write_atomically(project.root / "run.py", source.encode(), old.stat().st_mode & 0o777)
    write_atomically(project.config_path, config.encode())
    old.unlink()


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(path.name, error) from error
