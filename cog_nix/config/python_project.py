"""``python_requirements`` that names a Python project or its lock, in place of a requirements file.

``pyproject.toml`` (PEP 621, PEP 735), ``uv.lock`` beside it, ``pylock.toml`` (PEP 751). What is in them is
for the resolver of Python packages to read; here they become ``-r`` lines, with what a configuration asks
for: the frameworks that decide about CUDA, and the Python version.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from cog_nix.system.jsonvalue import members, objects, texts
from cog_nix.system.regular import read_bytes

PYPROJECT, UV_LOCK = "pyproject.toml", "uv.lock"

_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")  # PEP 751, "File Name"
_FRAMEWORKS = ("torch", "torchvision", "torchaudio", "tensorflow")
_EXPORTS = {
    "poetry.lock": "poetry export --without-hashes -o requirements.txt",
    "pdm.lock": "pdm export -o requirements.txt",
    "Pipfile": "pipenv requirements > requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "environment.yml": "pip list --format=freeze > requirements.txt",
    "environment.yaml": "pip list --format=freeze > requirements.txt",
    "conda-lock.yml": "pip list --format=freeze > requirements.txt",
    "pixi.lock": "pip list --format=freeze > requirements.txt",
}
_SUPPORTED = ("3.13", "3.12", "3.11", "3.10", "3.14")
"""Pythons to choose from, the preferred one first."""


def is_project(name: str) -> bool:
    """Return whether a file is a Python project or a lock that uv reads."""
    base = PurePosixPath(name).name
    return base in {PYPROJECT, UV_LOCK} or bool(_PYLOCK.fullmatch(base))


def is_pylock(name: str) -> bool:
    """Return whether a file is a lock file as PEP 751 names it."""
    return bool(_PYLOCK.fullmatch(PurePosixPath(name).name))


def export_command(name: str) -> str:
    """Return the command that makes a requirements file of another tool's file; "" for what is none."""
    return _EXPORTS.get(PurePosixPath(name).name, "")


def other_lock(name: str, root: Path) -> str:
    """Return the lock of another tool's that says which packages a ``pyproject.toml`` means; "" for none.

    Args:
        name: of the file that ``python_requirements`` names, relative to ``root``.
        root: the folder of cog.yaml.
    """
    folder = (root / name).parent
    if PurePosixPath(name).name != PYPROJECT or (folder / UV_LOCK).is_file():
        return ""
    return next((one for one in ("poetry.lock", "pdm.lock") if (folder / one).is_file()), "")


def files(name: str, root: Path) -> tuple[str, ...]:
    """Return the files that a project is read from: ``uv.lock`` stands beside its ``pyproject.toml``.

    Args:
        name: of the file that ``python_requirements`` names, relative to ``root``.
        root: the folder of cog.yaml.
    """
    if is_pylock(name):
        return (name,)
    folder = PurePosixPath(name).parent
    beside = [str(folder / base) for base in (PYPROJECT, UV_LOCK)]
    return tuple(one for one in beside if one == name or (root / one).is_file())


def requirement_lines(name: str, root: Path) -> list[str]:
    """Return a project as requirement lines: ``-r FILE`` for each of its files, and its frameworks.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is no TOML, or not of its format.
    """
    found = files(name, root)
    documents = [_load(root / one) for one in found]
    return [*(f"-r {one}" for one in found), *_frameworks(documents)]


def python_version(name: str | None, root: Path) -> str | None:
    """Return the Python that a project asks for where cog.yaml does not say, or None.

    ``.python-version`` counts first, then ``requires-python``, of which the preferred release is taken.

    Args:
        name: the file that ``python_requirements`` names, relative to ``root``.
        root: the folder of cog.yaml.
    """
    if not name or not is_project(name):
        return None
    folder = (root / name).parent
    try:
        written = (folder / ".python-version").read_text("utf-8").split()
    except (OSError, ValueError):
        written = []
    pinned = re.fullmatch(r"(?:cpython-|cpython@)?(3\.\d+(?:\.\d+)?)", written[0]) if written else None
    if pinned:
        return pinned[1]
    for one in files(name, root):
        try:
            wanted = _required(_load(root / one))
        except (OSError, ValueError):
            continue
        if wanted:
            return next((version for version in _SUPPORTED if _fits(version, wanted)), None)
    return None


def _load(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - few projects have such a file, and this module runs at every edit

    try:
        return tomllib.loads(read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _required(document: dict[str, Any]) -> str:
    project = document.get("project")
    found = project.get("requires-python") if isinstance(project, dict) else document.get("requires-python")
    return found if isinstance(found, str) else ""


def _fits(version: str, wanted: str) -> bool:
    """Return whether a Python's minor release may satisfy ``requires-python`` (PEP 440 specifiers)."""
    minor = _numbers(version)
    for clause in wanted.split(","):
        match = re.fullmatch(r"\s*(>=|<=|==|~=|!=|>|<)\s*([\d.]+)(\.\*)?\s*", clause)
        if match and not _holds(minor, match[1], _numbers(match[2])):
            return False
    return True


def _holds(minor: tuple[int, ...], operator: str, bound: tuple[int, ...]) -> bool:
    short = bound[:2]
    match operator:
        case ">=" | ">":
            return minor >= short
        case "<=":
            return minor <= short
        case "<":
            return minor < short or (minor == short and any(bound[2:]))
        case "==":
            return minor[: len(short)] == short
        case "~=":
            return minor >= short and (len(bound) < 3 or minor == short)  # noqa: PLR2004 - a patch release
        case _:
            return len(bound) > 2 or minor != short  # noqa: PLR2004 - the same


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


def _frameworks(documents: list[dict[str, Any]]) -> list[str]:
    """Return lines for the frameworks: the locked releases, or else what the project says of them."""
    locked: dict[str, set[str]] = {}
    for document in documents:
        for package in objects(document.get("package")) + objects(document.get("packages")):
            name, version = package.get("name"), package.get("version")
            if name in _FRAMEWORKS and isinstance(version, str):
                locked.setdefault(name, set()).add(version)
    if locked:
        return [f"{name}=={min(found)}" for name, found in sorted(locked.items()) if len(found) == 1]
    return [line for document in documents for line in _dependencies(document) if _name(line) in _FRAMEWORKS]


def _dependencies(document: dict[str, Any]) -> list[str]:
    return texts(members(document.get("project")).get("dependencies"))


def _name(line: str) -> str:
    match = re.match(r"[A-Za-z0-9][\w.-]*", line.strip())
    return match[0].lower() if match else ""
