"""The compiler for GPUs that builds see: a plugin says what it is made of, others find that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cog_nix.lock.model import Toolkit
from cog_nix.plugins import Plugins, ask
from cog_nix.spec import SystemRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.lock.model import Deb, Wheel
    from cog_nix.spec import (
        Context,
        PythonRequest,
        PythonResolution,
        SystemResolution,
        ToolkitChoice,
        ToolkitRequest,
    )

_GROUP = "toolkit"


@dataclass(frozen=True)
class Resolving:
    """Who is asked."""

    plugins: Plugins
    context: Context
    system: Callable[[SystemRequest], SystemResolution]
    python: Callable[[PythonRequest], PythonResolution]


def find(
    request: ToolkitRequest, former: Toolkit | None, resolving: Resolving, python: PythonRequest
) -> tuple[Toolkit | None, tuple[str, ...]]:
    """Find the compiler for GPUs that a project's builds need.

    Args:
        request: what is built.
        former: the compiler of the lock so far, whose pins are kept; None: they may move.
        resolving: who is asked.
        python: the question to the resolver of Python packages, but for the requirements.

    Returns:
        The compiler, or None when nothing needs one; and packages that the build system has to have.

    Raises:
        LockError: one is needed and cannot be found.
    """
    choice: ToolkitChoice | None = ask(
        resolving.plugins, "provide_toolkit", request=request, context=resolving.context
    )
    if choice is None:
        return None, ()
    resolving.context.reporter.step(f"Resolving {choice.name} for builds")
    kept = former if former and former.name == choice.name else None
    toolkit = Toolkit(
        name=choice.name,
        debs=_debs(choice, kept, resolving),
        wheels=_wheels(choice, kept, resolving, python),
        host_compiler=choice.host_compiler,
        environment=tuple(sorted(choice.environment)),
        variables=tuple(sorted(choice.variables)),
        commands=choice.commands,
    )
    return toolkit, choice.build_packages


def _debs(choice: ToolkitChoice, kept: Toolkit | None, resolving: Resolving) -> tuple[Deb, ...]:
    pins = {deb.package: deb.version for deb in kept.debs} if kept else {}
    found: list[Deb] = []
    for suite, component, names in choice.packages:
        request = SystemRequest(
            suite=suite, groups=((_GROUP, names),), pins=pins, component=component, alone=True
        )
        found += resolving.system(request).groups[_GROUP]
    return tuple(sorted(found, key=lambda deb: deb.package))


def _wheels(
    choice: ToolkitChoice, kept: Toolkit | None, resolving: Resolving, python: PythonRequest
) -> tuple[Wheel, ...]:
    pins = {wheel.name: wheel.version for wheel in kept.wheels} if kept else {}
    found: dict[str, Wheel] = {}
    for lines in choice.requirements:
        asked = replace(python, requirements=lines, pins=pins, asked_in=choice.name)
        found |= {wheel.artifact.sha256: wheel for wheel in resolving.python(asked).wheels}
    return tuple(sorted(found.values(), key=lambda wheel: (wheel.name, wheel.version)))
