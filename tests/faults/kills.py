"""Ends commands at many moments of their run, and looks at what they leave and at what the next run does."""

from __future__ import annotations

import ctypes
import os
import random
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.faults.world import World

Ending = Literal["INT", "TERM", "HUP", "KILL", "GROUP-INT", "GROUP-KILL"]
"""A signal for the command itself, as ``kill`` and service managers send it, or for its whole group, as a
terminal and the end of a container do."""
ENDINGS: tuple[Ending, ...] = ("INT", "TERM", "KILL", "GROUP-INT", "HUP", "GROUP-KILL")
_INTERRUPTED = "run the same command again to carry on"
_SLOW_SECONDS = 15
"""What an interrupted command may take at most to put things in order."""


class Moment(NamedTuple):
    """When a command is ended: after some time, or after some events in the folders that it writes to."""

    seconds: float | None
    events: int | None = None


@dataclass(frozen=True)
class Scenario:
    """A command, and how to make it have something to do again."""

    name: str
    command: tuple[str, ...]
    prepare: Callable[[World, int], None]
    """Is told the number of the try; the same number makes the same state."""
    result: Callable[[World], str]
    """Returns what an undisturbed command came to, for comparison."""
    leftovers: Callable[[World], list[str]] = lambda world: world.files_left()


@dataclass
class Count:
    """What came of the tries."""

    tries: int = 0
    finished_before: int = 0
    problems: list[str] = field(default_factory=list)
    slowest: float = 0

    def add(self, problems: Iterable[str]) -> None:
        self.problems += problems


def moments(duration: float, number: int, seed: int) -> list[Moment]:
    """Return moments spread over a run: times for the most part, each third an event."""
    span = duration * (1.05 if number >= 10 else 0.8)  # few are not to come too late
    chance = random.Random(seed)  # noqa: S311 - a choice of moments
    found = []
    for index in range(number):
        if index % 3 == 2:
            found.append(Moment(None, chance.randint(1, 200)))
        else:
            share = (index + chance.random()) / number
            found.append(Moment(share * span))
    return found


def attack(
    world: World,
    scenario: Scenario,
    number: int,
    seed: int,
    endings: Iterable[Ending],
    *,
    warm: bool = False,
    tell: Callable[[int, list[str]], None] = lambda *_: None,
) -> Count:
    """Try a scenario at so many moments; each of the endings comes in turn.

    Args:
        world: what it happens to.
        scenario: what is tried.
        number: of moments.
        seed: chooses them.
        endings: how it is ended.
        warm: whether its commands have run here before, so that the first one takes as long as others.
        tell: is told after each try.
    """
    count = Count()
    duration = 0.0
    for index in (0,) if warm else (0, number + 1):  # the first one warms what all share
        scenario.prepare(world, index)
        began = time.monotonic()
        finished = world.run(*scenario.command)
        duration = time.monotonic() - began
        if finished.returncode:
            count.add([f"{scenario.name} fails undisturbed: {finished.stderr[-1500:]}"])
            return count
    turns = list(endings)
    for index, moment in enumerate(moments(duration, number, seed), start=1):
        count.tries += 1
        ending = turns[index % len(turns)]
        scenario.prepare(world, index)
        cut, took = cut_off(world, scenario.command, moment, ending)
        count.slowest = max(count.slowest, took)
        where = f"{scenario.name} {ending} at {moment}"
        count.finished_before += cut.returncode == 0
        problems = [*judge(cut, ending, took), *world.left()]
        again = world.run(*scenario.command)
        if again.returncode:
            problems.append(f"the next run fails: {again.stderr[-1500:]}")
        else:
            found = scenario.result(world)
            problems += scenario.leftovers(world)
            scenario.prepare(world, index)
            whole = world.run(*scenario.command)
            if whole.returncode or scenario.result(world) != found:
                problems.append(f"another result: {found} is not {scenario.result(world)}")
        problems += world.left()
        tell(index, problems)
        count.add(f"{where}: {one}" for one in problems)
    return count


def cut_off(
    world: World, command: tuple[str, ...], moment: Moment, ending: Ending
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a command and end it; return what came of it, and the seconds that it took from the signal on."""
    with watching(_watched(world)) as events:
        process = world.start(*command)
        _wait(process, moment, events)
    number = getattr(signal, f"SIG{ending.rpartition('-')[2]}")
    sent = time.monotonic()
    if process.poll() is None:
        (os.killpg if "GROUP" in ending else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err), time.monotonic() - sent


def judge(cut: subprocess.CompletedProcess[str], ending: Ending, took: float) -> Iterator[str]:
    """Yield what is wrong with how a command ended."""
    number = getattr(signal, f"SIG{ending.rpartition('-')[2]}")
    if cut.returncode not in {0, -number}:
        yield f"status {cut.returncode}: {cut.stderr[-1500:]}"
    if "Traceback" in cut.stderr and "cog_nix" in cut.stderr:
        yield f"a traceback: {cut.stderr[-1500:]}"
    if "Exception ignored" in cut.stderr:
        yield f"an ignored exception: {cut.stderr[-1500:]}"
    lines = [line for line in cut.stderr.splitlines() if _INTERRUPTED in line]
    if len(lines) > 1:
        yield f"said more than once: {cut.stderr[-500:]}"
    if took > _SLOW_SECONDS:
        yield f"it took {took:.1f} s to end"


def _wait(process: subprocess.Popen[str], moment: Moment, events: Events) -> None:
    deadline = time.monotonic() + (moment.seconds if moment.seconds is not None else 120)
    while process.poll() is None and (left := deadline - time.monotonic()) > 0:
        if moment.events is None:
            time.sleep(min(left, 0.002))
        elif events.seen(min(left, 0.05)) >= moment.events:
            return


def _watched(world: World) -> list[Path]:
    places = [world.temporary, world.project, world.project / ".cog", world.project / ".cog/builds"]
    if world.cache:
        places += [world.cache, *(path for path in world.cache.glob("*") if path.is_dir())]
    if world.store:
        places += [world.store / "nix/store", world.store / "nix/var/nix/db"]
    return [path for path in places if path.is_dir()]


class Events:
    """Counts what is created, renamed and written to in some folders (inotify(7)).

    Args:
        folders: each on its own, not what is below.
    """

    _CREATE_MOVE_CLOSE = 0x100 | 0x80 | 0x8
    _HEADER = 16

    def __init__(self, folders: Iterable[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        for folder in folders:
            libc.inotify_add_watch(self._descriptor, os.fsencode(folder), self._CREATE_MOVE_CLOSE)
        self._count = 0

    def seen(self, seconds: float) -> int:
        """Return how many there were so far; wait so long for the next."""
        if select.select([self._descriptor], [], [], seconds)[0]:
            data = os.read(self._descriptor, 1 << 16)
            while data:
                size = self._HEADER + int.from_bytes(data[12:16], "little")
                data = data[size:]
                self._count += 1
        return self._count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._descriptor)


watching = Events
