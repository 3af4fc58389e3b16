"""Cases: folders with a ``case.toml`` that states a promise and the steps that prove it.

::

    promise = "A wrong input is refused with 422 and the name of the input"
    source = "docs/http.md, POST /predictions"
    needs = ["wrong input"]          # facts of the image, see subject.py; otherwise the case does not apply
    project = "counter"              # the model it needs; left out: any image will do

    [container]                      # left out: the case shares a container with others
    env = { NAME = "value" }
    command = ["python", "-m", "cog.server.http"]
    wait = "READY"                   # health status to wait for before the steps; "" to begin at once

    [[step]]                         # see steps.py for each kind of step
    http = "POST /predictions"
    json = { input = "${wrong input}" }
    expect = { status = 422 }

    [before_coglet]                  # left out: images with an SDK before 0.17 keep the promise as it is
    lacks = "the type of the error is pydantic's"
    [[before_coglet.step]]           # what they keep of it; no step: nothing
    http = "POST /predictions"
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).parent
if not (HERE / "cases").is_dir():  # a checkout; a wheel has them beside this file
    HERE = Path(__file__).parents[2] / "compat-tests"
CASE_KEYS = frozenset({"promise", "source", "needs", "project", "container", "step", "before_coglet"})
CONTAINER_KEYS = frozenset({"env", "command", "wait"})


class CompatError(Exception):
    """The question cannot be put: no such image, no such case, no Docker.

    Args:
        message: what is wrong.
        hint: what to do next.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class ContainerSettings:
    """The container that a case wants for itself."""

    env: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    wait: str = "READY"


@dataclass(frozen=True)
class BeforeCoglet:
    """What is left of a promise in images whose SDK has no coglet, but a server of its own."""

    lacks: str
    """What that server does not do, in a sentence."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """None: it keeps nothing of the promise."""


@dataclass(frozen=True)
class Case:
    """One promise and how to prove it."""

    name: str
    promise: str
    source: str
    """Where Cog makes the promise."""
    steps: tuple[Mapping[str, Any], ...]
    needs: tuple[str, ...] = ()
    project: str | None = None
    """Name of the project under ``projects/`` that it speaks of; None: any image."""
    container: ContainerSettings | None = None
    """None: the case leaves its container as it found it, so it shares one."""
    folder: Path = HERE
    before_coglet: BeforeCoglet | None = None
    """None: the promise holds for every SDK."""


def project_path(name: str) -> Path:
    """Return the folder of a project that model cases need."""
    return HERE / "projects" / name


@cache
def all_cases() -> tuple[Case, ...]:
    """Return every case, sorted by name.

    Raises:
        CompatError: a ``case.toml`` is malformed.
    """
    return tuple(load(path.parent) for path in sorted((HERE / "cases").glob("*/case.toml")))


def load(folder: Path) -> Case:
    """Read one case.

    Raises:
        CompatError: ``case.toml`` is malformed.
    """
    path = folder / "case.toml"
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        unknown = sorted((set(table) - CASE_KEYS) | (set(table.get("container", {})) - CONTAINER_KEYS))
        if unknown:
            raise CompatError(f"{folder.name}/case.toml: unknown keys {', '.join(unknown)}")
        return Case(
            name=folder.name,
            promise=table["promise"],
            source=table["source"],
            steps=tuple(table["step"]),
            needs=tuple(table.get("needs", ())),
            project=table.get("project"),
            container=_container(table["container"]) if "container" in table else None,
            folder=folder,
            before_coglet=_before_coglet(table["before_coglet"]) if "before_coglet" in table else None,
        )
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise CompatError(f"{folder.name}/case.toml: {error}") from error


def _container(table: Mapping[str, Any]) -> ContainerSettings:
    command = table.get("command")
    return ContainerSettings(
        env=dict(table.get("env", {})),
        command=tuple(command) if command is not None else None,
        wait=table.get("wait", "READY"),
    )


def _before_coglet(table: Mapping[str, Any]) -> BeforeCoglet:
    return BeforeCoglet(lacks=table["lacks"], steps=tuple(table.get("step", ())))


def select(only: Sequence[str]) -> tuple[Case, ...]:
    """Return the named cases, or, when no name is given, those that apply to any image.

    Raises:
        CompatError: a name is unknown.
    """
    cases = {case.name: case for case in all_cases()}
    unknown = [name for name in only if name not in cases]
    if unknown:
        close = difflib.get_close_matches(unknown[0], cases, n=3) or sorted(cases)
        raise CompatError(f"There is no case {unknown[0]!r}.", hint=f"Did you mean {', '.join(close)}?")
    if only:
        return tuple(cases[name] for name in only)
    return tuple(case for case in cases.values() if case.project is None)
