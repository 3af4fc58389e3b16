"""Many commands at once, and the garbage collector among them."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Self

from tests.faults.world import PREDICTOR, World

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def at_once(worlds: Sequence[World], *command: str) -> list[subprocess.CompletedProcess[str]]:
    """Run a command in each of the worlds at the same time."""
    processes = [world.start(*command) for world in worlds]
    said = [process.communicate(timeout=900) for process in processes]
    return [
        subprocess.CompletedProcess(process.args, process.returncode, out, err)
        for process, (out, err) in zip(processes, said, strict=True)
    ]


def sibling(world: World, name: str) -> World:
    """Return another project that shares a world's cache and store, locked as that is, with other source."""
    other = World(world.folder / name, world.cache, world.store, dict(world.extra), world.token)
    shutil.copy(world.project / "cog-nix.lock", other.project)
    (other.project / "run.py").write_text(f"{PREDICTOR}\n\nNAME = {name!r}\n")
    return other


class Collector:
    """Collects the garbage of a private store, again and again, until it is left.

    Args:
        store: the folder of a store of one's own; the system's is nobody's to collect here.
    """

    def __init__(self, store: Path) -> None:
        self._command = ["nix-store", "--store", str(store), "--option", "build-users-group", "", "--gc"]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._collect)
        self.rounds = 0

    def _collect(self) -> None:
        while not self._stop.is_set():
            subprocess.run(self._command, check=False, capture_output=True)
            self.rounds += 1
            self._stop.wait(0.2)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
