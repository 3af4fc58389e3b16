"""Requirements that stand in a Python project or its lock: ``pyproject.toml``, ``uv.lock``, ``pylock.toml``.

A ``pyproject.toml`` by itself is resolved by uv, with all that ``[tool.uv]`` says. What a lock holds is taken
as it is: the versions and files that ``uv sync --frozen`` installs. What else the image needs is resolved
beside it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from cog_nix.config import python_project
from cog_nix.system import scratch
from cog_nix.system.jsonvalue import members, objects, texts
from cog_nix.system.regular import read_bytes
from cog_nix_hooks.pypi import uv
from cog_nix_hooks.pypi.errors import LockFileError, MissingExtraError
from cog_nix_hooks.pypi.lines import requirement_name
from cog_nix_hooks.pypi.pylock import read_pylock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cog_nix.plugins.spec import PythonRequest
    from cog_nix_hooks.pypi.lines import Lines
    from cog_nix_hooks.pypi.pylock import Package
    from cog_nix_hooks.pypi.target import Target

_FILE = "-r "


@dataclass(frozen=True)
class Locked:
    """What a lock file says about the image's packages."""

    packages: tuple[Package, ...] = ()
    requirers: Mapping[str, set[str]] = field(default_factory=dict)
    """What requires each package, by normalised name, as far as the file tells."""

    @property
    def names(self) -> frozenset[str]:
        """Normalised names of the packages."""
        return frozenset(package.name for package in self.packages)


def named(lines: Lines, extras: tuple[str, ...], groups: tuple[str, ...] | None, root: Path) -> Lines:
    """Return lines in which Python projects are no requirements any more, but projects.

    Args:
        lines: the project's.
        extras: the extras to install.
        groups: the dependency groups to install; None: those that uv installs by default.
        root: the project.

    Raises:
        MissingExtraError: an extra or a group that is not there.
    """
    files = [line.removeprefix(_FILE) for line in lines.requirements if _is_project(line)]
    if not files:
        return lines
    tables = [_load(root / file) for file in files if PurePosixPath(file).name == python_project.PYPROJECT]
    for table, file in zip(tables, files, strict=False):
        _check(table, file, extras, groups)
    isolated = [name for table in tables for name in texts(_uv(table).get("no-build-isolation-package"))]
    return replace(
        lines,
        requirements=tuple(line for line in lines.requirements if not _is_project(line)),
        projects=tuple(files),
        extras=extras,
        groups=_default_groups(tables) if groups is None else groups,
        not_isolated=(*lines.not_isolated, *map(canonicalize_name, isolated)),
    )


def locked(
    question: uv.Question, request: PythonRequest, target: Target, log: Callable[[str], None]
) -> tuple[uv.Question, Locked]:
    """Take what lock files hold out of a question.

    Args:
        question: with projects among its lines.
        request: where the project is.
        target: which packages are for the image.
        log: gets each line of uv's narration.

    Returns:
        The question that is left, and what is known.

    Raises:
        UvError: uv cannot read its lock.
    """
    lines = question.lines
    lock = next((file for file in lines.projects if _is_lock(file)), None)
    if lock is None:
        return question, Locked()
    path = request.project_root / lock
    if python_project.is_pylock(lock):
        packages, requirers = read_pylock(path, request.project_root), _requirers(_load(path).get("packages"))
    else:
        with scratch.folder("uv") as folder:
            packages = read_pylock(uv.export_pylock(question, path.parent, folder, log), request.project_root)
        requirers = _requirers(_load(path).get("package"))
    known = Locked(tuple(one for one in packages if target.answers(one.marker)), requirers)
    rest = tuple(line for line in lines.requirements if requirement_name(line) not in known.names)
    versions = {one.name: one.version for one in known.packages if one.version and not one.direct}
    left = replace(lines, requirements=rest, projects=())
    return replace(question, lines=left, fixed={**question.fixed, **versions}), known


def _is_project(line: str) -> bool:
    return line.startswith(_FILE) and python_project.is_project(line.removeprefix(_FILE))


def _is_lock(file: str) -> bool:
    return PurePosixPath(file).name != python_project.PYPROJECT


def _load(path: Path) -> dict[str, Any]:
    """Return a TOML file's content.

    Raises:
        LockFileError: it cannot be read.
    """
    try:
        return tomllib.loads(read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n"))
    except (OSError, ValueError, RecursionError) as error:
        raise LockFileError(path.name, error, hint="Fix the file.") from error


def _uv(table: Mapping[str, Any]) -> dict[str, Any]:
    return members(members(table.get("tool")).get("uv"))


def _default_groups(tables: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the groups that uv installs when none is named: ``tool.uv.default-groups``, or ``dev``."""
    found: list[str] = []
    for table in tables:
        there = list(members(table.get("dependency-groups")))
        wanted = _uv(table).get("default-groups", ["dev"])
        found += there if wanted == "all" else [name for name in texts(wanted) if name in there]
    return tuple(dict.fromkeys(found))


def _check(table: Mapping[str, Any], file: str, extras: Iterable[str], groups: Iterable[str] | None) -> None:
    project = members(table.get("project"))
    for kind, wanted, there in (
        ("extra", extras, members(project.get("optional-dependencies"))),
        ("group", groups or (), members(table.get("dependency-groups"))),
    ):
        names = {canonicalize_name(name) for name in there}
        for name in wanted:
            if canonicalize_name(name) not in names:
                raise MissingExtraError(
                    file,
                    kind,
                    name,
                    hint=f"Name one of: {', '.join(sorted(names))}."
                    if names
                    else f"Remove it: there is no {kind}.",
                )


def _requirers(entries: object) -> dict[str, set[str]]:
    """Return what requires each package, from ``dependencies`` (uv.lock, pylock.toml)."""
    found: dict[str, set[str]] = {}
    for entry in objects(entries):
        parent, needed = entry.get("name"), entry.get("dependencies")
        for one in objects(needed):
            if isinstance(name := one.get("name"), str) and isinstance(parent, str):
                found.setdefault(canonicalize_name(name), set()).add(canonicalize_name(parent))
    return found
