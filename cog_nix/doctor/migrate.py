"""From ``predict.py:Predictor`` to ``run.py:Runner``, the names that Cog has now.

Only the shape that ``cog init`` once made is changed: a ``predict.py`` with a class ``Predictor``. Names are
replaced as tokens, so comments, strings and layout stay.
"""

from __future__ import annotations

import functools
import io
import re
import tokenize
from enum import Enum
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
CHECK = "Deprecated predict interface names"


class Obstacle(Enum):
    """What stands in the way of a migration: upstream's sentences, ``{}`` for the detail."""

    RUN_IS_SET = "automatic migration cannot run when run is already set"
    OTHER_REFERENCE = "Manual migration required: automatic migration only supports predict.py:Predictor"
    RUN_EXISTS = "cannot migrate predict.py to run.py because run.py already exists"
    NO_PREDICT = "cannot migrate predict.py to run.py because predict.py was not found"
    NOT_PYTHON = "cannot migrate predict.py: it is not Python: {}"
    NO_OLD_NAMES = (
        "cannot migrate predict.py because no legacy Predictor/BasePredictor/predict() names were found"
    )
    TAKEN_NAME = "Manual migration required: predict.py has the name {} already"
    RUN_FUNCTION = "Manual migration required: predict.py has a function run already"


class MigrationError(CogNixError):
    """A project that has to be moved to the newer names by hand.

    Args:
        obstacle: what stands in the way.
        detail: a name, or what Python says of the file.
    """

    def __init__(self, obstacle: Obstacle, detail: str = "") -> None:
        super().__init__()
        self.obstacle, self.detail = obstacle, detail

    def __str__(self) -> str:
        return self.obstacle.value.format(self.detail)


def findings(project: Project) -> list[Finding]:
    """Return what there is to change; one change mends it all, and says why where it cannot."""
    text = _read(project.config_path)
    name = project.config_path.name
    if not _KEY.search(text):
        return []
    fix = functools.cache(partial(apply, project))
    found = partial(Finding, CHECK, "warning", fix=fix, group="Config")
    message = "predict in cog.yaml is deprecated; use run with run.py:Runner"
    told = [found(message, "Run cog-nix doctor --fix to migrate predict: to run:", file=name)]
    if _REFERENCE.search(text) and _has_old_names(project.root / "predict.py"):
        message = "predict.py uses deprecated Predictor/BasePredictor/predict() names"
        remedy = "Run cog-nix doctor --fix to migrate to Runner/BaseRunner/run()"
        told.append(found(message, remedy, file="predict.py"))
    return told


def _has_old_names(path: Path) -> bool:
    try:
        return re.search(r"^class Predictor\b", _read(path), re.MULTILINE) is not None
    except CogNixError:
        return False


def migrated(project: Project) -> tuple[str, str]:
    """Return the new texts of cog.yaml and of run.py.

    Raises:
        MigrationError: it is not the shape that can be changed without asking.
    """
    config = _read(project.config_path)
    if _RUN_KEY.search(config):
        raise MigrationError(Obstacle.RUN_IS_SET)
    if not _REFERENCE.search(config):
        raise MigrationError(Obstacle.OTHER_REFERENCE)
    if (project.root / "run.py").exists():
        raise MigrationError(Obstacle.RUN_EXISTS)
    if not (project.root / "predict.py").exists():
        raise MigrationError(Obstacle.NO_PREDICT)
    source = _read(project.root / "predict.py")
    return _REFERENCE.sub('run: "run.py:Runner"', config), renamed(source)


def renamed(source: str) -> str:
    """Return a predictor's source with the new names.

    Raises:
        MigrationError: it has no class Predictor, has the new names already, or is not Python.
    """
    lines = io.StringIO(source).readlines()  # the tokenizer's lines; str has more kinds of line ends
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise MigrationError(Obstacle.NOT_PYTHON, str(error)) from error
    names = [token for token in tokens if token.type == tokenize.NAME]
    words = {token.string for token in names}
    if "Predictor" not in words:
        raise MigrationError(Obstacle.NO_OLD_NAMES)
    if taken := words & {"Runner", "BaseRunner"}:
        raise MigrationError(Obstacle.TAKEN_NAME, min(taken))
    before = {id(after): token.string for token, after in pairwise(tokens)}
    if any(token.string == "run" and before.get(id(token)) == "def" for token in names):
        raise MigrationError(Obstacle.RUN_FUNCTION)
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
