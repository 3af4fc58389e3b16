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
    from cog_nix.lock.model import Deb, Lock, Wheel

LayerPlan = tuple[tuple[str, tuple[str, ...]], ...]

_SDK = ("pip", "coglet", "cog")
_MEDIUM = 4
"""A wheel of this part of a heavy one is a layer of its own too, above the system packages, or below where
it is of CUDA: the small ones that share a layer are sent together whenever one of them changes."""
_FIXED_LAYERS = 8
"""base, python, essential, system-packages, sdk, python-packages, linked-libraries, source."""


def plan(
    lock: Lock,
    settings: LayerSettings,
    *,
    commands: int = 0,
    linker: bool = False,
    goes_with_gpus: Callable[[str], bool] = lambda _: False,
) -> LayerPlan:
    """Return ``(name, members)`` of each layer from bottom to top.

    Args:
        lock: all that is in the image; its layers do not count.
        settings: threshold and budget.
        commands: how many there are.
        linker: whether the dynamic linker has to be told of libraries in wheels.
        goes_with_gpus: whether a wheel consists of libraries for GPUs, or goes with them, by its name.
    """
    room = settings.budget - _FIXED_LAYERS - commands - linker
    least = settings.heavy_bytes // _MEDIUM
    order = _Order({wheel.name: wheel.depends for wheel in lock.wheels}, goes_with_gpus)
    heavy = order.alone(
        lock.wheels, lambda name: least if goes_with_gpus(name) else settings.heavy_bytes, room
    )
    rest = _without(lock.wheels, heavy)
    sdk = [wheel for wheel in rest if wheel.name in _SDK]
    others = _without(rest, sdk)
    medium = order.alone(others, lambda _: least, room - len(heavy))
    system = (*lock.system, *lock.libraries)
    essential = lock.essential if system or commands or lock.linked else ()
    python = "interpreter" if lock.interpreter.artifact else "venv"
    layers: list[tuple[str, tuple[str, ...]]] = [
        ("base", _debs(lock.base)),
        ("python", (*_debs(lock.python), "state:base", python)),
        *((wheel.name, _wheels([wheel])) for wheel in heavy),
        ("essential", _debs(essential, "essential")),
        ("system-packages", _debs(system, "system")),
        ("sdk", _wheels(sdk)),
        *((wheel.name, _wheels([wheel])) for wheel in medium),
        ("python-packages", _wheels(_without(others, medium))),
        *((f"run-{index}", (f"run:{index}",)) for index in range(commands)),
        ("linked-libraries", _debs(lock.linked, "linked")),
        # On top of all that has libraries, and of a few kilobytes.
        ("linker", ("linker",) if linker else ()),
        ("source", ("source",)),
    ]
    return tuple((name, members) for name, members in layers if members)


def _debs(debs: Sequence[Deb], state: str = "") -> tuple[str, ...]:
    """Return packages as members of a layer, with what dpkg knows after them."""
    return (*(f"deb:{deb.package}" for deb in debs), *([f"state:{state}"] if debs and state else []))


def _wheels(wheels: Sequence[Wheel]) -> tuple[str, ...]:
    return tuple(f"wheel:{wheel.name}" for wheel in wheels)


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
