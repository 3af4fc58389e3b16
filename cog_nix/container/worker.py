"""One container for the length of a command: made for the first program, gone with its owner."""

from __future__ import annotations

import atexit
import fcntl
import os
import secrets
import shlex
import shutil
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cog_nix.container import client, server
from cog_nix.errors import NixError, RuntimeFailure
from cog_nix.plugins.spec import WorkerRequest
from cog_nix.store.library import nix_library, package_folder
from cog_nix.system.boot import this_boot
from cog_nix.system.files import write_atomically
from cog_nix.system.scratch import temporary_path

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from cog_nix.plugins.spec import Worker, WorkerRuntime

PYTHON = "/usr/bin/python3.13"
PROGRAMS = {"nix": "nix", "nix-build": "nix-build", "nix-store": "nix-store", "python": PYTHON}
"""What a launcher starts in the container, by the launcher's name."""
_START_SECONDS = 60
_LENGTH = 4


class WorkerError(RuntimeFailure):
    """The container that Nix runs in is of no use.

    Args:
        problem: what it does, or does not do.
        hint: what to do next.
    """

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.problem = problem

    def __str__(self) -> str:
        return f"The container that Nix runs in {self.problem}"


class ContainerWorker:
    """Where Nix's programs run.

    Args:
        runtime: starts the container.
        image: makes the runtime hold the image and returns its id; called when the container is needed.
        folders: what programs in it see of this machine, beside the cache and temporary files.
        cache: the cache of cog-nix, in which launchers and the socket are.
    """

    def __init__(
        self, runtime: WorkerRuntime, image: Callable[[], str], folders: Sequence[Path], cache: Path
    ) -> None:
        self._runtime, self._image, self._folders, self._cache = runtime, image, folders, cache
        self._parent = cache / "workers"
        self.launchers = self._parent / f"{os.getpid()}-{secrets.token_hex(4)}"
        """Folder of the programs that stand for those inside; there once :meth:`ready` has returned."""
        self._owner: socket.socket | None = None
        self._worker: Worker | None = None
        self._mark: IO[bytes] | None = None
        self._lock = threading.Lock()

    def ready(self) -> None:
        """Start the container, unless it runs.

        Raises:
            CogNixError: it cannot be started, or builds cannot be isolated in it either.
        """
        with self._lock:
            if self._owner:
                return
            image = self._image()
            self._sweep()
            try:
                self._prepare()
                self._start(image)
            except BaseException:
                self.close()
                raise

    def _start(self, image: str) -> None:
        home = self._cache / "home"
        home.mkdir(parents=True, exist_ok=True)
        mark, like_this = self._cache / "contained", _like(image)
        tried = (server.TRIED,) if _read(mark) == like_this else ()
        command = (PYTHON, "-I", "-S", "-B", server.__file__, str(self.launchers), *tried)
        atexit.register(self.close)
        self._worker = self._runtime.start_worker(
            WorkerRequest(image, command, tuple(self._seen()), {"HOME": str(home)})
        )
        self._owner = self._connect(self._worker)
        self._owner.sendall(server.OWNER)
        size = int.from_bytes(server.read_exactly(self._owner, _LENGTH), "big")
        why, _, remedy = server.read_exactly(self._owner, size).decode().partition("\n")
        if why:
            raise NixError(
                f"Nix runs in a container here, and builds cannot be isolated there either. {why}",
                hint=remedy or "See docs/how-to/containers.md for what the container needs.",
            )
        if not tried:
            write_atomically(mark, like_this.encode())

    def close(self) -> None:
        """Let the container end; it is removed by the runtime."""
        atexit.unregister(self.close)
        owner, self._owner = self._owner, None
        if owner:
            owner.close()
        else:
            if self._worker:
                self._worker.remove()
            shutil.rmtree(self.launchers, ignore_errors=True)
        self._worker = None
        if self._mark:
            self._mark.close()

    def _prepare(self) -> None:
        """Make the launchers' folder, locked for as long as this process lives."""
        fresh = self._parent / f".{self.launchers.name}"
        fresh.mkdir(mode=0o700, parents=True)  # who reaches the socket starts programs as this user
        self._mark = (fresh / "lock").open("wb")
        fcntl.flock(self._mark, fcntl.LOCK_EX)
        python = shlex.join([sys.executable, "-I", "-S", "-B", client.__file__, str(self.launchers)])
        for name, program in PROGRAMS.items():
            launcher = fresh / name
            launcher.write_text(f'#!/bin/sh\nexec {python} {program} "$@"\n', encoding="utf-8")
            launcher.chmod(0o755)
        fresh.rename(self.launchers)

    def _sweep(self) -> None:
        """Remove what owners left that were killed before their container ran."""
        for folder in self._parent.glob("[0-9]*-*"):
            with suppress(OSError), (folder / "lock").open("rb") as mark:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)

    def _seen(self) -> Iterator[Path]:
        """Yield what the container sees: nothing twice, nothing that another one holds."""
        wanted = [self._cache, Path(temporary_path()), package_folder(), nix_library(), *self._folders]
        both = dict.fromkeys(one for path in wanted for one in (path, path.resolve()))
        for path in both:
            if not path.is_file():
                path.mkdir(parents=True, exist_ok=True)
        yield from (path for path in both if not both.keys() & set(path.parents))

    def _connect(self, worker: Worker) -> socket.socket:
        """Wait until the server listens.

        Raises:
            WorkerError: it does not.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                return client.connect(str(self.launchers))
            if (said := worker.ended()) is not None:
                raise WorkerError(f"has ended at once: {said}")
            time.sleep(0.02)
        raise WorkerError(
            "does not answer.", hint="Its runtime has to be on this machine; see docs/how-to/containers.md."
        )


def _like(image: str) -> str:
    """Return what tells this boot, user and image from others."""
    boot = ""
    with suppress(OSError):
        boot = this_boot()
    return f"{boot} {os.geteuid()} {image}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
