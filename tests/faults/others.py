"""What the harness tries beside ends: broken downloads, full disks, crowds, and the garbage collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults import disks, scenarios
from tests.faults.crowds import Collector, at_once, sibling
from tests.faults.downloads import INDEX, PACKAGE, disturb, mirrored
from tests.faults.kills import Count
from tests.faults.mirror import FAULTS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.faults.world import World

_BUILD = ("build", "--no-load")
_MANY = 8
_ALWAYS = 1 << 30


def downloads(world: World) -> Count:
    """Lock with every fault of a mirror: once and always, of an index and of packages."""
    count = Count()
    with mirrored(world) as mirror:
        if problems := list(failures([world.run("lock")])):
            count.add(problems)
            return count
        for fault in FAULTS:
            for suffix in (INDEX, PACKAGE):
                for times in (1, _ALWAYS):
                    count.tries += 1
                    count.add(disturb(world, mirror, fault, suffix, times))
    return count


def full_disks(world: World) -> Count:
    """Build and lock with no room for temporary files, and lock with none for the lock; root can do that."""
    count = Count()
    count.add(failures([world.run(*_BUILD)]))
    lock = ("lock",)
    for folder, command in ((world.temporary, _BUILD), (world.temporary, lock), (world.project, lock)):
        for left in (0, 4096):
            count.tries += 1
            scenarios.edit(world, count.tries)
            if command == lock:
                (world.project / "cog-nix.lock").unlink(missing_ok=True)
            count.add(_without_room(world, folder, left, *command))
    return count


def _without_room(world: World, folder: Path, left: int, *command: str) -> list[str]:
    with disks.small(folder, 4096):
        disks.fill(folder, left)
        found = disks.complaints(world, folder, *command)
        (folder / ".filler").unlink()
        found += [*failures([world.run(*command)]), *world.left(), *world.files_left()]
        kept = world.project / "cog-nix.lock"
        text = kept.read_bytes() if kept.exists() else b""
    kept.write_bytes(text)
    return [f"{command[0]}, {folder.name} with {left} bytes left: {one}" for one in found]


def crowd(world: World) -> Count:
    """Run eight commands at once: locks and builds of one project, and builds of different ones."""
    count = Count(tries=3 * _MANY)
    count.add(failures(at_once([world] * _MANY, "lock")))
    count.add(failures(at_once([world] * _MANY, *_BUILD)))
    expected = world.image_id()
    others = [sibling(world, f"other-{number}") for number in range(_MANY)]
    count.add(failures(at_once(others, *_BUILD)))
    if len({other.image_id() for other in others}) != _MANY:
        count.add(["two projects have one image"])
    world.run(*_BUILD)
    if world.image_id() != expected:
        count.add(["another image afterwards"])
    count.add([*world.left(), *world.files_left()])
    return count


def collected(world: World) -> Count:
    """Build into a store of one's own whose garbage is collected meanwhile, again and again."""
    count = Count()
    if world.store is None:
        count.add(["the system's store is nobody's to collect: --own-store"])
        return count
    with Collector(world.store) as collector:
        for number in range(_MANY):
            count.tries += 1
            scenarios.edit(world, number)
            count.add(failures([world.run(*_BUILD)]))
    if collector.rounds < _MANY:
        count.add([f"garbage was collected {collector.rounds} times only"])
    count.add([*world.left(), *world.files_left()])
    return count


def failures(finished: Iterable[subprocess.CompletedProcess[str]]) -> Iterator[str]:
    for one in finished:
        if one.returncode or "Traceback" in one.stderr:
            yield f"status {one.returncode}: {one.stderr[-1500:]}"


OTHERS: dict[str, Callable[[World], Count]] = {
    "downloads": downloads,
    "disks": full_disks,
    "crowd": crowd,
    "collected": collected,
}
