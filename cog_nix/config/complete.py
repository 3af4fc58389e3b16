"""A valid document becomes a :class:`Config`: defaults filled in, requirements read, CUDA settled."""

from __future__ import annotations

import dataclasses
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cog_nix.config import environment, python_project, requirements
from cog_nix.config.gpu import GpuError, derive
from cog_nix.config.label import label
from cog_nix.config.model import (
    Build,
    Config,
    Mount,
    Observability,
    RunCommand,
    Traces,
    Weight,
    WeightSource,
)
from cog_nix.config.problem import Problem, config_error

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.config.document import Document

DEFAULT_PYTHON = "3.13"


def complete(document: Document, root: Path) -> Config:
    """Complete a document that has been validated, or whose text has been somewhere else.

    Needs PyYAML and nothing else, so that it also runs inside a Nix build.

    Args:
        document: what :func:`~cog_nix.config.document.parse` made.
        root: the project; the requirements file is read from it.

    Raises:
        ConfigError: the requirements file cannot be read, or the CUDA version cannot be settled.
    """
    data = with_python_version(document, root).data
    build: dict[str, Any] = data.get("build", {})
    lines = requirement_lines(document, root)
    cuda, cudnn = build.get("cuda"), build.get("cudnn")
    if build.get("gpu"):
        try:
            versions = derive(
                cuda, cudnn, [line.text for line in lines], build.get("python_version", DEFAULT_PYTHON)
            )
        except GpuError as error:
            problem = Problem(document.line("build", error.subject), error.text, error.fix)
            raise config_error(document.name, document.text, [problem]) from error
        cuda, cudnn = versions.cuda, versions.cudnn
    return Config(
        build=_build(build, requirements.normalise(lines), cuda or None, cudnn or None),
        image=data.get("image") or None,
        model=data.get("model") or None,
        predict=data.get("run") or data.get("predict") or None,
        train=data.get("train") or None,
        concurrency_max=data.get("concurrency", {}).get("max"),
        observability=_observability(data.get("observability")),
        weights=tuple(_weight(weight) for weight in data.get("weights", ())),
        environment=environment.parse(data.get("environment", ())),
        label=label(data, cuda=cuda, cudnn=cudnn),
    )


def with_python_version(document: Document, root: Path) -> Document:
    """Return a document with the Python version of the project that ``python_requirements`` names.

    Where cog.yaml gives a version, or names a plain requirements file, it is returned as it is.
    """
    build = document.data.get("build")
    if not isinstance(build, dict) or "python_version" in build:
        return document
    found = python_project.python_version(_file(build), root)
    if found is None:
        return document
    return dataclasses.replace(document, data={**document.data, "build": {**build, "python_version": found}})


def requirement_lines(document: Document, root: Path) -> list[requirements.Line]:
    """Return the requirement lines of a valid project, from cog.yaml or the file it names.

    Raises:
        ConfigError: the file cannot be read, or asks for something local that cannot be installed.
    """
    lines, problems = read_requirements(document, root)
    if problems:
        raise config_error(document.name, document.text, problems)
    return lines


def read_requirements(document: Document, root: Path) -> tuple[list[requirements.Line], list[Problem]]:
    """Return the requirement lines of a project, valid or not, and what is wrong with them."""
    name = document.value(str, "build", "python_requirements")
    if not name:
        packages = document.value(list, "build", "python_packages") or []
        written = [
            requirements.Line(document.line("build", "python_packages", position), package)
            for position, package in enumerate(packages)
            if isinstance(package, str)
        ]
        return requirements.meaningful(written), []
    path = root / name
    other = python_project.other_lock(name, root)
    command = python_project.export_command(other or name)
    if command:
        place = document.line("build", "python_requirements")
        fix = f"Run: {command}\nand write: python_requirements: requirements.txt"
        what = f"{other}, which locks {name}," if other else name
        return [], [Problem(place, f"{what} is not a file that uv or pip installs from", fix)]
    if python_project.is_project(name):
        return _read_project(document, name, root)
    try:
        lines = requirements.read(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        place = document.line("build", "python_requirements")
        return [], [Problem(place, f"cannot read {name}: {reason}", "Name a text file in the project.")]
    lines, problems = requirements.localise(lines, path.parent, root)
    return lines, [dataclasses.replace(problem, name=name) for problem in problems]


def _file(build: dict[str, Any]) -> str | None:
    name = build.get("python_requirements")
    return os.path.normpath(name) if isinstance(name, str) and name else None


def _read_project(document: Document, name: str, root: Path) -> tuple[list[requirements.Line], list[Problem]]:
    place = document.line("build", "python_requirements")
    try:
        found = python_project.requirement_lines(os.path.normpath(name), root)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is not TOML: {error}"
        return [], [Problem(place, f"cannot read {name}: {reason}", "Correct the file, or name another one.")]
    files = {PurePosixPath(line.removeprefix("-r ")).name for line in found if line.startswith("-r ")}
    if PurePosixPath(name).name == python_project.UV_LOCK and python_project.PYPROJECT not in files:
        fix = f"Copy {python_project.PYPROJECT} into the same folder: uv reads a lock together with it."
        return [], [Problem(place, f"there is no {python_project.PYPROJECT} beside {name}", fix)]
    return [requirements.Line(1, line) for line in found], []


def _build(build: dict[str, Any], lines: tuple[str, ...], cuda: str | None, cudnn: str | None) -> Build:
    return Build(
        gpu=build.get("gpu", False),
        python_version=build.get("python_version", "").strip() or DEFAULT_PYTHON,
        python_requirements=build.get("python_requirements") or None,
        python_packages=tuple(build.get("python_packages", ())),
        requirements=lines,
        system_packages=tuple(name for name in build.get("system_packages", ()) if name.strip()),
        run=tuple(_command(entry) for entry in build.get("run", ())),
        pre_install=tuple(build.get("pre_install", ())),
        cuda=cuda,
        cuda_named=build.get("cuda") or None,
        cudnn=cudnn,
        sdk_version=build.get("sdk_version") or None,
    )


def _command(entry: str | dict[str, Any]) -> RunCommand:
    if isinstance(entry, str):
        return RunCommand(entry)
    mounts = tuple(Mount(mount["type"], mount["id"], mount["target"]) for mount in entry.get("mounts", ()))
    return RunCommand(entry["command"], mounts)


def _observability(section: dict[str, Any] | None) -> Observability | None:
    if section is None:
        return None
    traces = section.get("traces")
    return Observability(section.get("config"), None if traces is None else Traces(**traces))


def _weight(entry: dict[str, Any]) -> Weight:
    sources = entry["source"] if isinstance(entry["source"], list) else [entry["source"]]
    return Weight(entry["name"], entry["target"], tuple(_source(source) for source in sources))


def _source(entry: dict[str, Any]) -> WeightSource:
    include, exclude = (tuple(entry[key]) if key in entry else None for key in ("include", "exclude"))
    return WeightSource(entry["uri"], include, exclude)
