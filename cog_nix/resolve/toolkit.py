"""The compiler for GPUs that builds see: a plugin says what it is made of, others find that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.lock.model import Toolkit
from cog_nix.plugins.manager import ask
from cog_nix.plugins.spec import SystemRequest

if TYPE_CHECKING:
    from cog_nix.lock.model import Deb, Wheel
    from cog_nix.plugins.spec import PythonRequest, ToolkitChoice, ToolkitRequest
    from cog_nix.resolve.resolvers import Resolvers

_GROUP = "toolkit"


def offered(request: ToolkitRequest, resolvers: Resolvers) -> ToolkitChoice | None:
    """Ask for the compiler for GPUs that a project's builds need; None when nothing needs one.

    Raises:
        LockError: one is needed, and nobody has it.
    """
    choice: ToolkitChoice | None = ask(
        resolvers.plugins, "provide_toolkit", request=request, context=resolvers.context
    )
    return choice


def resolve(
    choice: ToolkitChoice, former: Toolkit | None, resolvers: Resolvers, python: PythonRequest
) -> Toolkit:
    """Find what a compiler for GPUs is made of.

    Args:
        choice: the compiler.
        former: the compiler of the lock so far, whose pins are kept; None: they may move.
        resolvers: who is asked.
        python: the question to the resolver of Python packages, but for the requirements.

    Raises:
        LockError: a part of it cannot be found.
    """
    resolvers.context.reporter.step(f"Resolving {choice.name} for builds")
    kept = former if former and former.name == choice.name else None
    return Toolkit(
        name=choice.name,
        debs=_debs(choice, kept, resolvers),
        wheels=_wheels(choice, kept, resolvers, python),
        host_compiler=choice.host_compiler,
        environment=tuple(sorted(choice.environment)),
        variables=tuple(sorted(choice.variables)),
        commands=choice.commands,
    )


def _debs(choice: ToolkitChoice, kept: Toolkit | None, resolvers: Resolvers) -> tuple[Deb, ...]:
    pins = {deb.package: deb.version for deb in kept.debs} if kept else {}
    found: list[Deb] = []
    for suite, component, names in choice.packages:
        request = SystemRequest(
            suite=suite, groups=((_GROUP, names),), pins=pins, component=component, alone=True
        )
        found += resolvers.system(request).groups[_GROUP]
    return tuple(sorted(found, key=lambda deb: deb.package))


def _wheels(
    choice: ToolkitChoice, kept: Toolkit | None, resolvers: Resolvers, python: PythonRequest
) -> tuple[Wheel, ...]:
    pins = {wheel.name: wheel.version for wheel in kept.wheels} if kept else {}
    found: dict[str, Wheel] = {}
    for lines in choice.requirements:
        asked = replace(python, requirements=lines, pins=pins, asked_in=choice.name)
        found |= {wheel.artifact.sha256: wheel for wheel in resolvers.python(asked).wheels}
    return tuple(sorted(found.values(), key=lambda wheel: (wheel.name, wheel.version)))
