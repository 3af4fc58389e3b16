"""Ends commands at many moments of their run, and looks at what they leave and at what the next run does."""

from __future__ import annotations

import ctypes
import os
import random
import select
import signal
import subprocess
import threading
import time
from contextlib import suppress
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
_GOLDEN = 0.6180339887
_PATIENCE = 4
"""So many tries for each that is wanted."""
_HANGING_SECONDS = 120
_LONGEST_SECONDS = 600
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
    """Ends that came in time."""
    too_late: int = 0
    problems: list[str] = field(default_factory=list)
    slowest: float = 0

    def add(self, problems: Iterable[str]) -> None:
        self.problems += problems


class Extent(NamedTuple):
    """How long an undisturbed run was."""

    seconds: float
    events: int


def moments(seed: int) -> Iterator[Callable[[Extent], Moment]]:
    """Yield moments of a run, spread over all of it: times for the most part, each third an event."""
    chance = random.Random(seed)  # noqa: S311 - a choice of moments
    share = chance.random()
    while True:
        share = (share + _GOLDEN) % 1  # falls into the widest gap that the ones before have left
        if chance.random() < 1 / 3:
            yield lambda extent, share=share: Moment(None, 1 + int(share * extent.events))  # type: ignore[misc]
        else:
            yield lambda extent, share=share: Moment(share * extent.seconds)  # type: ignore[misc]


def attack(
    world: World,
    scenario: Scenario,
    number: int,
    seed: int,
    endings: Iterable[Ending],
    *,
    tell: Callable[[int, list[str]], None] = lambda *_: None,
) -> Count:
    """Try a scenario at so many moments; each of the endings comes in turn.

    A try that comes too late counts as such, and is made again at another moment.

    Args:
        world: what it happens to.
        scenario: what is tried.
        number: of moments.
        seed: chooses them.
        endings: how it is ended.
        tell: is told after each try.
    """
    count = Count()
    extent = Extent(0, 0)
    for index in (0, _PATIENCE * number + 1):  # the first one warms what all share
        scenario.prepare(world, index)
        finished, extent, _ = cut_off(world, scenario.command, None)
        if finished.returncode:
            count.add([f"{scenario.name} fails undisturbed: {finished.stderr[-1500:]}"])
            return count
    turns = list(endings)
    chosen = moments(seed)
    while count.tries < number and count.too_late < _PATIENCE * number:
        index = 1 + count.tries + count.too_late
        moment = next(chosen)(extent)
        ending = turns[count.tries % len(turns)]
        scenario.prepare(world, index)
        cut, seen, took = cut_off(world, scenario.command, moment, ending)
        problems = [*judge(cut, ending, took), *world.left()]
        if cut.returncode == 0:
            extent = seen
            count.too_late += 1
            count.add(f"{scenario.name}: {one}" for one in problems)
            continue
        count.tries += 1
        count.slowest = max(count.slowest, took)
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
        count.add(f"{scenario.name} {ending} at {moment}: {one}" for one in problems)
    if count.tries < number:
        count.add([f"{scenario.name}: only {count.tries} of {number} signals came in time"])
    return count


def cut_off(
    world: World, command: tuple[str, ...], moment: Moment | None, ending: Ending = "TERM"
) -> tuple[subprocess.CompletedProcess[str], Extent, float]:
    """Run a command and end it.

    Args:
        world: where it runs.
        command: of cog-nix.
        moment: when it is ended; None: it is not.
        ending: how.

    Returns:
        What came of it, how far it was, and the seconds that it took from the signal on.
    """
    with watching(_watched(world)) as events:
        began = time.monotonic()
        process = world.start(*command)
        output: list[tuple[str, str]] = []
        reader = threading.Thread(target=lambda: output.append(process.communicate()), daemon=True)
        reader.start()  # from the start, so that no full pipe keeps it waiting
        _wait(reader, moment, events)
        seen = Extent(time.monotonic() - began, events.seen(0))
    sent = time.monotonic()
    if reader.is_alive() and process.returncode is None:
        number = getattr(signal, f"SIG{ending.rpartition('-')[2]}")
        with suppress(ProcessLookupError):
            (os.killpg if "GROUP" in ending else os.kill)(process.pid, number)
    reader.join(_HANGING_SECONDS)
    if not output:
        os.killpg(process.pid, signal.SIGKILL)
        reader.join()
    out, err = output[0]
    return (
        subprocess.CompletedProcess(process.args, process.returncode, out, err),
        seen,
        time.monotonic() - sent,
    )


def judge(cut: subprocess.CompletedProcess[str], ending: Ending, took: float) -> Iterator[str]:
    """Yield what is wrong with how a command ended."""
    number = getattr(signal, f"SIG{ending.rpartition('-')[2]}")
    if cut.returncode not in {0, -number}:
        yield f"status {cut.returncode}: {cut.stderr[-1500:]}"
    if "Traceback" in cut.stderr and "cog_nix" in cut.stderr and not _is_pythons_own(cut.stderr):
        yield f"a traceback: {cut.stderr[-1500:]}"
    if "Exception ignored" in cut.stderr:
        yield f"an ignored exception: {cut.stderr[-1500:]}"
    lines = [line for line in cut.stderr.splitlines() if _INTERRUPTED in line]
    if len(lines) > 1:
        yield f"said more than once: {cut.stderr[-500:]}"
    if took > _SLOW_SECONDS:
        yield f"it took {took:.1f} s to end"


def _is_pythons_own(said: str) -> bool:
    """Whether Python answered Ctrl-C by itself, because not a line of the program had run."""
    return " in main\n" not in said and said.rstrip().endswith("KeyboardInterrupt")


def _wait(reader: threading.Thread, moment: Moment | None, events: Events) -> None:
    """Wait for a moment, or for the end of the command."""
    limit = _LONGEST_SECONDS if moment is None or moment.seconds is None else moment.seconds
    deadline = time.monotonic() + limit
    while reader.is_alive() and (left := deadline - time.monotonic()) > 0:
        if moment is None or moment.events is None:
            reader.join(min(left, 0.5))
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
        while select.select([self._descriptor], [], [], seconds)[0]:
            seconds = 0
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
