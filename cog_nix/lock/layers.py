"""Which packages share a layer, and in what order: decided from the lock alone.

Docker keys an extracted layer by the whole chain below it, so what changes rarely and weighs much goes to the
bottom. Heavy wheels stand alone, in a canonical order (frameworks' libraries below the frameworks that need
them); small ones share one layer. Adding a package moves nothing that was there. See docs/design/layers.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from cog_nix.config.model import LayerSettings
    from cog_nix.lock.model import Deb, Wheel

LayerPlan = tuple[tuple[str, tuple[str, ...]], ...]

_SDK = ("pip", "coglet", "cog")
_MEDIUM = 4
"""A wheel of this part of a heavy one is a layer of its own too, but above the system packages: the small
ones that share a layer are sent together whenever one of them changes."""
_FIXED_LAYERS = 8
"""base, python, essential, system-packages, sdk, python-packages, linked-libraries, source."""


def plan(
    *,
    base: Sequence[Deb],
    essential: Sequence[Deb],
    python: Sequence[Deb],
    system: Sequence[Deb],
    wheels: Sequence[Wheel],
    commands: int = 0,
    linked: Sequence[Deb] = (),
    unpacked: bool = False,
    linker: bool = False,
    settings: LayerSettings,
) -> LayerPlan:
    """Return ``(name, members)`` of each layer from bottom to top.

    Args:
        base: packages of the base system that every image has.
        essential: the rest of the base system, which goes with system packages.
        python: packages of the interpreter.
        system: the project's own packages, and libraries that something links to.
        wheels: all wheels.
        commands: how many there are.
        linked: packages with libraries that commands and source builds link to.
        unpacked: whether the interpreter is unpacked into /usr/local; otherwise that is a venv of Debian's.
        linker: whether the dynamic linker has to be told of libraries in wheels.
        settings: threshold and budget.
    """
    room = settings.budget - _FIXED_LAYERS - commands - linker
    heavy = _heavy(wheels, settings.heavy_bytes, room)
    rest = _without(wheels, heavy)
    sdk = [wheel for wheel in rest if wheel.name in _SDK]
    others = _without(rest, sdk)
    medium = _heavy(others, settings.heavy_bytes // _MEDIUM, room - len(heavy))
    small = _without(others, medium)
    layers = [
        ("base", tuple(f"deb:{deb.package}" for deb in base)),
        (
            "python",
            (*(f"deb:{deb.package}" for deb in python), "state:base", "interpreter" if unpacked else "venv"),
        ),
        *((wheel.name, (f"wheel:{wheel.name}",)) for wheel in heavy),
        (
            "essential",
            (*(f"deb:{deb.package}" for deb in essential), "state:essential")
            if essential and (system or commands or linked)
            else (),
        ),
        (
            "system-packages",
            (*(f"deb:{deb.package}" for deb in system), *(("state:system",) if system else ())),
        ),
        ("sdk", tuple(f"wheel:{wheel.name}" for wheel in sdk)),
        *((wheel.name, (f"wheel:{wheel.name}",)) for wheel in medium),
        ("python-packages", tuple(f"wheel:{wheel.name}" for wheel in small)),
        *((f"run-{index}", (f"run:{index}",)) for index in range(commands)),
        (
            "linked-libraries",
            (*(f"deb:{deb.package}" for deb in linked), *(("state:linked",) if linked else ())),
        ),
        # On top of all that has libraries, and of a few kilobytes.
        ("linker", ("linker",) if linker else ()),
        ("source", ("source",)),
    ]
    return tuple((name, members) for name, members in layers if members)


def wheels_of(layers: LayerPlan) -> tuple[str, ...]:
    """Return the names of wheels from the lowest layer to the topmost."""
    return tuple(
        member.removeprefix("wheel:")
        for _, members in layers
        for member in members
        if member.startswith("wheel:")
    )


def with_links(layers: LayerPlan, linked: Collection[str]) -> LayerPlan:
    """Return the same layers, with links laid over the wheels that have some.

    Args:
        layers: a plan.
        linked: names of wheels with files that others, or they themselves, have as well.
    """

    def members(all_of: Sequence[str]) -> tuple[str, ...]:
        links = (f"links:{one.removeprefix('wheel:')}" for one in all_of if one.startswith("wheel:"))
        return (*all_of, *(link for link in links if link.removeprefix("links:") in linked))

    return tuple((name, members(all_of)) for name, all_of in layers)


def _without(wheels: Sequence[Wheel], others: Sequence[Wheel]) -> list[Wheel]:
    names = {wheel.name for wheel in others}
    return [wheel for wheel in wheels if wheel.name not in names]


def _heavy(wheels: Sequence[Wheel], heavy_bytes: int, room: int) -> list[Wheel]:
    """Return the wheels that get a layer each, what others need first; names decide between equals."""
    candidates = [wheel for wheel in wheels if wheel.artifact.size >= heavy_bytes]
    kept = sorted(candidates, key=lambda wheel: (-wheel.artifact.size, wheel.name))[: max(0, room)]
    depends = {wheel.name: wheel.depends for wheel in wheels}
    return sorted(kept, key=lambda wheel: (len(_needed(wheel.name, depends)), wheel.name))


def _needed(name: str, depends: Mapping[str, Sequence[str]]) -> set[str]:
    """Return a package and all that it needs.

    What is needed needs less, unless both need each other (torch and triton); no other package counts.
    """
    found: set[str] = set()
    pending = [name]
    while pending:
        one = pending.pop()
        if one in depends and one not in found:
            found.add(one)
            pending += depends[one]
    return found
