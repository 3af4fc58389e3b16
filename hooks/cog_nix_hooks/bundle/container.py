"""A container without a daemon: a child of this process, and gone with it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.cleanup import Cleanup
from cog_nix.runtime.container import BaseContainer, NotInteractiveError, StillRunningError
from cog_nix_hooks.bundle import cgroups, devices, engines, nsenter, rootfs, seccomp
from cog_nix_hooks.bundle.folders import new_name, owned
from cog_nix_hooks.bundle.layers import lock
from cog_nix_hooks.bundle.oci import CAPABILITY_MASK
from cog_nix_hooks.bundle.process import describe
from cog_nix_hooks.bundle.start_lock import StartLock
from cog_nix_hooks.bundle.streams import connected, resize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cog_nix.plugins.spec import ContainerRequest, Streams
    from cog_nix_hooks.bundle.choice import Engine
    from cog_nix_hooks.bundle.images import ImageStore
    from cog_nix_hooks.bundle.process import Process
    from cog_nix_hooks.bundle.streams import Connection

_STOP_SECONDS = 3
_START_SECONDS = 5
_POLL_SECONDS = 0.01


def start_container(
    store: ImageStore, request: ContainerRequest, *, engine: Engine, method: str
) -> BundleContainer:
    """Start a container.

    Raises:
        MissingDeviceDriverError: GPUs are asked for, and there is no driver for them.
        RuntimeFailure: it cannot be started.
    """
    gpus = devices.find(request.gpus, engine.path)
    name = new_name()
    with ExitStack() as stack:
        # First of all: as long as this is held, no layer is removed.
        stack.enter_context(lock(store.root / "containers.lock", fcntl.LOCK_SH))
        image = store.find(request.image)
        if image is None:
            raise RuntimeFailure(
                f"There is no image {request.image}.", hint=f"Build it:  cog-nix build -t {request.image}"
            )
        folder = stack.enter_context(owned(store.root / "containers", name))
        layers = [store.layers.folder(diff_id) for diff_id in image.diff_ids]
        files = [one for diff_id in image.diff_ids for one in store.layers.bound(diff_id)]
        process = describe(image, request, layers, name)
        cgroups.record(folder, name)
        command = [
            *rootfs.prepare(folder, layers, method, engine.isolation, files),
            *devices.equipped(engine.path, folder, gpus, engines.prepare(engine.path, folder, process, name)),
        ]
        if process.port is not None:
            stack.callback(StartLock().end)
        connection = None
        if request.interactive or request.tty:
            running, connection = connected(
                command, folder, stdin=request.stdin, tty=request.tty, size=request.size
            )
            stack.callback(connection.close)
        else:
            running = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the terminal's Ctrl-C is for who watches
            )
        return BundleContainer(running, process, connection, folder, stack.pop_all())
    raise AssertionError  # for the type checker: nothing above swallows an exception


class BundleContainer(BaseContainer):
    """A running container; leaving its context stops and removes it.

    Args:
        running: the ``unshare`` around it, with whose end all of it ends.
        process: what runs in it.
        connection: its streams, when they were asked for.
        folder: of the container.
        resources: what to give back when it has ended.
    """

    def __init__(
        self,
        running: subprocess.Popen[bytes],
        process: Process,
        connection: Connection | None,
        folder: Path,
        resources: ExitStack,
    ) -> None:
        self._process = running
        self._env = process.env
        self._user = process.user
        self._connection = connection
        self._folder = folder
        self._resources = resources
        self._log = _Log(running.stdout) if running.stdout else None
        super().__init__(process.port, Cleanup(self._remove).run)

    def alive(self) -> bool:
        """Whether the main process still runs."""
        return self._process.poll() is None

    def logs(self) -> str:
        """Return what the container wrote so far, unless its streams are connected."""
        if self._log and not self.alive():
            self._log.finish()
        return self._log.text() if self._log else ""

    def follow_logs(self, sink: Callable[[str], None]) -> None:
        """Call ``sink`` with each line, from the first on, in a thread that ends with the container."""
        if self._log:
            self._log.follow(sink)

    def signal(self, name: str) -> None:
        """Send a signal to the main process."""
        with suppress(ProcessLookupError):
            os.kill(self._running_main(), signal.Signals[name])

    def wait(self, timeout: float) -> int:
        """Wait for the end; return the exit status, or say that it still runs."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise StillRunningError(timeout) from error
        return _exit_status(status)

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command beside the main process: with its files, processes, environment, user and rights.

        Returns:
            Its exit status, and what it wrote to stdout and stderr.
        """
        main = self._running_main()
        filtered = self._folder / "entered"
        has_filter = filtered.exists() or seccomp.write_program(filtered)
        kept = [str(main), str(CAPABILITY_MASK), str(filtered) if has_filter else ""]
        kept.append(f"{self._user.uid}:{self._user.gid}")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", nsenter.__file__, *kept, *command],
            input=json.dumps(self._env).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def attach(self, streams: Streams) -> int:
        """Copy between the container and these descriptors until it ends; return its exit status."""
        if self._connection is None:
            raise NotInteractiveError
        self._connection.copy(streams)
        return _exit_status(self._process.wait())

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal its size, in characters."""
        if self._connection is None:
            return
        self._connection.resize(rows, columns)
        main = self._main(_START_SECONDS)
        if main is None:
            return
        # runc hands it on, crun does not: so the container's own terminal is told as well.
        with suppress(OSError):
            inner = os.open(f"/proc/{main}/fd/0", os.O_RDWR | os.O_NOCTTY)
            try:
                if os.isatty(inner):
                    resize(inner, rows, columns)
            finally:
                os.close(inner)

    def _remove(self) -> None:
        try:
            if self.alive() and (main := self._main(0)) is not None:
                with suppress(ProcessLookupError):
                    os.kill(main, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_SECONDS)
            self._kill()
            self._process.wait()
            if self._log:
                self._log.finish()
        finally:
            self._resources.close()

    def _kill(self) -> None:
        """Kill ``unshare`` and its child, which may not have asked for a signal at its parent's death yet."""
        self._process.send_signal(signal.SIGSTOP)
        for child in _children(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.kill()

    def _running_main(self) -> int:
        if (main := self._main(_START_SECONDS)) is None:
            raise RuntimeFailure("The container's main process does not run.")
        return main

    def _main(self, seconds: float) -> int | None:
        """Return the host's number of the main process; wait so long for it to come up."""
        deadline = time.monotonic() + seconds
        while self.alive():
            # The first process of the outer namespace is ours, the next such one below is the container's.
            level = _children(self._process.pid)
            while level := [child for parent in level for child in _children(parent)]:
                if found := next(filter(_first_of_its_namespace, level), None):
                    return found
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_SECONDS)
        return None


def _exit_status(returncode: int) -> int:
    """Return a status as a shell gives it: 128 and the signal's number when a signal ended a process."""
    return returncode if returncode >= 0 else 128 - returncode


class _Log:
    """What a container writes: read in a thread, kept, and handed on in lines."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._sinks: list[Callable[[str], None]] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True, name="container-logs")
        self._thread.start()

    def _read(self) -> None:
        for data in self._stream:
            line = data.decode("utf-8", "replace").rstrip("\r\n")
            with self._lock:
                self._lines.append(line)
                for sink in self._sinks:
                    sink(line)

    def text(self) -> str:
        """Return all of it."""
        with self._lock:
            return "".join(f"{line}\n" for line in self._lines)

    def follow(self, sink: Callable[[str], None]) -> None:
        """Hand on what came so far, then each line as it comes."""
        with self._lock:
            for line in self._lines:
                sink(line)
            self._sinks.append(sink)

    def finish(self) -> None:
        """Let the last lines arrive."""
        self._thread.join(_STOP_SECONDS)
        if not self._thread.is_alive():
            self._stream.close()


def _children(pid: int) -> list[int]:
    """Return a process's children (proc(5), ``/proc/PID/task/TID/children``), whichever thread made them."""
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def _first_of_its_namespace(pid: int) -> bool:
    """Whether a process is the first of its namespace, and the engine that made it has become the program."""
    try:
        own = _status(pid)
        engine = _status(int(own["PPid"]))
    except (OSError, KeyError):
        return False
    becoming = own["Name"].startswith("runc:[") or own["Name"] == engine["Name"]
    return own["NSpid"].split()[-1] == "1" and not becoming


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
