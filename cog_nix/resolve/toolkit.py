"""The compiler for GPUs that builds see: a plugin says what it is made of, others find that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.lock.model import Toolkit
from cog_nix.plugins.spec import PythonRequest, SystemRequest

if TYPE_CHECKING:
    from cog_nix.lock.model import Deb, Index, Wheel
    from cog_nix.plugins.spec import ToolkitChoice
    from cog_nix.resolve.foundation import Foundation

_GROUP = "toolkit"


def resolve_toolkit(found: Foundation) -> Toolkit | None:
    """Find what the compiler for GPUs is made of that builds need; None when they need none.

    Raises:
        LockError: a part of it cannot be found.
    """
    choice = found.toolkit
    if choice is None:
        return None
    found.tools.reporter.step(f"Resolving {choice.name} for builds")
    previous = found.request.pins.toolkit
    kept = previous if previous and previous.name == choice.name else None
    debs, found_in = _debs(choice, kept, found)
    return Toolkit(
        name=choice.name,
        debs=debs,
        wheels=_wheels(choice, kept, found),
        host_compiler=choice.host_compiler,
        environment=tuple(sorted(choice.environment)),
        variables=tuple(sorted(choice.variables)),
        commands=choice.commands,
        found_in=found_in,
    )


def _debs(
    choice: ToolkitChoice, kept: Toolkit | None, found: Foundation
) -> tuple[tuple[Deb, ...], tuple[Index, ...]]:
    """Return the system packages, and the indexes that they were taken from."""
    pins = {deb.package: deb.version for deb in kept.debs} if kept else {}
    debs: list[Deb] = []
    indexes: list[Index] = []
    for suite, component, names in choice.packages:
        request = SystemRequest(suite, ((_GROUP, names),), pins, component=component, alone=True)
        resolved = found.tools.plugins.resolve_system_packages(request, found.tools.context)
        debs += resolved.groups[_GROUP]
        indexes += resolved.indexes
    return tuple(sorted(debs, key=lambda deb: deb.package)), tuple(dict.fromkeys(indexes))


def _wheels(choice: ToolkitChoice, kept: Toolkit | None, found: Foundation) -> tuple[Wheel, ...]:
    pins = {wheel.name: wheel.version for wheel in kept.wheels} if kept else {}
    python = found.python_request
    wheels: dict[str, Wheel] = {}
    for lines in choice.requirements:
        request = PythonRequest(
            python.python_version, lines, python.glibc, python.project_root, pins, asked_in=choice.name
        )
        resolved = found.tools.plugins.resolve_python_packages(request, found.tools.context)
        wheels |= {wheel.artifact.sha256: wheel for wheel in resolved.wheels}
    return tuple(sorted(wheels.values(), key=lambda wheel: (wheel.name, wheel.version)))
