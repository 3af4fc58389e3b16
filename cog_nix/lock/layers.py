"""Which packages share a layer, and in what order: decided from the lock alone.

Docker keys an extracted layer by the whole chain below it, so what changes rarely and weighs much goes to the
bottom. Heavy wheels stand alone, in a canonical order (CUDA's parts, the frameworks that need them, others);
small ones share one layer. Adding a package moves nothing that was there. See docs/design/layers.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.lock.dependencies import with_dependencies

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from cog_nix.config.model import LayerSettings
    from cog_nix.lock.model import Deb, Wheel

LayerPlan = tuple[tuple[str, tuple[str, ...]], ...]

_SDK = ("pip", "coglet", "cog")
_MEDIUM = 4
"""A wheel of this part of a heavy one is a layer of its own too, above the system packages, or below where
it is of CUDA: the small ones that share a layer are sent together whenever one of them changes."""
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
    goes_with_gpus: Callable[[str], bool] = lambda _: False,
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
        goes_with_gpus: whether a wheel consists of libraries for GPUs, or goes with them, by its name.
        settings: threshold and budget.
    """
    room = settings.budget - _FIXED_LAYERS - commands - linker
    least = settings.heavy_bytes // _MEDIUM
    order = _Order({wheel.name: wheel.depends for wheel in wheels}, goes_with_gpus)
    heavy = order.alone(wheels, lambda name: least if goes_with_gpus(name) else settings.heavy_bytes, room)
    rest = _without(wheels, heavy)
    sdk = [wheel for wheel in rest if wheel.name in _SDK]
    others = _without(rest, sdk)
    medium = order.alone(others, lambda _: least, room - len(heavy))
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


@dataclass(frozen=True)
class _Order:
    depends: Mapping[str, Sequence[str]]
    """What each wheel of the image needs, by name."""
    goes_with_gpus: Callable[[str], bool]

    def alone(self, wheels: Sequence[Wheel], least: Callable[[str], int], room: int) -> list[Wheel]:
        """Return the wheels that get a layer each.

        Gigabytes come first: libraries for GPUs, then what needs them. In each of these, what others need is
        below them, and names decide between equals. A package's place follows from what it needs itself, so
        that another one beside it does not move it.

        Args:
            wheels: some.
            least: the size in bytes from which on a package is alone, by name.
            room: how many there may be.
        """
        candidates = [wheel for wheel in wheels if wheel.artifact.size >= least(wheel.name)]
        kept = sorted(candidates, key=lambda wheel: (-wheel.artifact.size, wheel.name))[: max(0, room)]
        return sorted(kept, key=self._place)

    def _place(self, wheel: Wheel) -> tuple[int, int, str]:
        # What is needed needs less, unless both need each other (torch and triton); no other package counts.
        needed = with_dependencies([wheel.name], self.depends) & self.depends.keys()
        if self.goes_with_gpus(wheel.name):
            return 0, len(needed), wheel.name
        return 1 if any(map(self.goes_with_gpus, needed)) else 2, len(needed), wheel.name
