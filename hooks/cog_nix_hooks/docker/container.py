"""A container that never outlives its owner."""

from __future__ import annotations

import atexit
import io
import os
import secrets
import signal
import subprocess
import sys
import tarfile
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import docker

from cog_nix.cdi import linker, place
from cog_nix.cdi.failures import MissingDeviceDriverError
from cog_nix.cdi.model import Placement
from cog_nix.errors import RuntimeFailure
from cog_nix_hooks.docker import owner, watcher
from cog_nix_hooks.docker.attach import Attachment
from cog_nix_hooks.docker.devices import Devices, gpu_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from cog_nix.plugins.spec import ContainerRequest, Streams

_PORT = "5000/tcp"
_LOOPBACK = "127.0.0.1"
_STOP_SECONDS = 3
_SHARED_MEMORY = 6 << 30
"""Bytes of ``/dev/shm``, as upstream gives: PyTorch's data loaders exceed Docker's 64 MB."""

_NO_DRIVER = (
    *("could not select device driver", "nvidia-container-cli: initialization error"),
    *("CDI device injection failed", "unresolvable CDI devices"),
)


def start_container(
    client: docker.APIClient,
    request: ContainerRequest,
    devices: Devices | None = None,
    *,
    this_machine: str = "host-gateway",
    socket_path: str | None = None,
) -> DockerContainer:
    """Create and start a container that publishes port 5000 on loopback, or what the request says.

    Args:
        client: the daemon.
        request: what to start.
        devices: what it gets of the GPUs that the request names; None: what NVIDIA's device driver gives.
        this_machine: the address of ``host.docker.internal``, where the request wants it known.
        socket_path: where the daemon listens on this machine; None: it is elsewhere.

    Raises:
        MissingDeviceDriverError: GPUs are asked for and the daemon has no driver for them.
        RuntimeFailure: it cannot be started.
    """
    if devices is None:
        devices = Devices((gpu_request(request.gpus),)) if request.gpus else Devices()
    # A name of our own: an interrupted creation can be undone although its answer never came.
    name = f"cog-nix-{os.getpid()}-{secrets.token_hex(4)}"
    cleanup = _Cleanup(client, name)
    try:
        owner.remove_abandoned(client)
        if socket_path:
            with suppress(OSError):  # no more processes: then the next command removes what is left
                cleanup.watcher = _watcher(socket_path, name)
        cleanup.tell(watcher.MAKING)
        _create(client, name, request, devices, this_machine)
        cleanup.tell(watcher.MADE)
        _place(client, name, devices)
        if request.interactive:
            cleanup.attachment = Attachment(client, name, stdin=request.stdin, tty=request.tty)
        client.start(name)
        if request.size:
            _resize(client, name, *request.size)
        port = (
            _published_port(request) if request.publish or request.interactive else _host_port(client, name)
        )
        return DockerContainer(client, cleanup, port)
    except docker.errors.DockerException as error:
        cleanup.run()
        raise _failure(error, request) from error
    except BaseException:
        cleanup.run()
        raise


class DockerContainer:
    """A running container; leaving its context stops and removes it.

    Args:
        client: the daemon.
        cleanup: what removes it.
        port: the port on this machine; None: port 5000 is not published.
    """

    def __init__(self, client: docker.APIClient, cleanup: _Cleanup, port: int | None) -> None:
        self._client = client
        self._cleanup = cleanup
        self._name = cleanup.name
        self._port = port
        self._follower: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``.

        Raises:
            RuntimeFailure: port 5000 is not published.
        """
        if self._port is None:
            raise RuntimeFailure("The container does not publish port 5000.")
        return f"http://{_LOOPBACK}:{self._port}"

    def alive(self) -> bool:
        """Whether the main process still runs."""
        try:
            return bool(self._client.inspect_container(self._name)["State"]["Running"])
        except docker.errors.NotFound:
            return False

    def logs(self) -> str:
        """Return what the container wrote so far."""
        text: bytes = self._client.logs(self._name, stdout=True, stderr=True)
        return text.decode("utf-8", "replace")

    def follow_logs(self, sink: Callable[[str], None]) -> None:
        """Call ``sink`` with each line, from the first on, in a thread that ends with the container."""
        stream = self._client.logs(self._name, stdout=True, stderr=True, stream=True, follow=True)
        self._follower = threading.Thread(
            target=feed_lines, args=(stream, sink), daemon=True, name="container-logs"
        )
        self._follower.start()

    def attach(self, streams: Streams) -> int:
        """Copy between the container and these descriptors until it ends; return its exit status.

        Raises:
            RuntimeFailure: it was started without its streams.
        """
        attachment = self._cleanup.attachment
        if attachment is None:
            raise RuntimeFailure("The container was not started as an interactive one.")
        attachment.copy(streams)
        status = int(self._client.wait(self._name, timeout=None)["StatusCode"])
        if attachment.torn:
            attachment.complete(streams, self._logged)
        return status

    def _logged(self, name: str) -> bytes:
        with suppress(docker.errors.APIError):  # its logs may go where they cannot be read
            text: bytes = self._client.logs(self._name, stdout=name == "stdout", stderr=name == "stderr")
            return text
        return b""

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal its size, in characters."""
        _resize(self._client, self._name, rows, columns)

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command beside the main process; return its exit status, and stdout and stderr together.

        Raises:
            RuntimeFailure: the container has ended.
        """
        try:
            asked = self._client.exec_create(self._name, list(command))["Id"]
            said: bytes = self._client.exec_start(asked)
            return int(self._client.exec_inspect(asked)["ExitCode"]), said.decode("utf-8", "replace")
        except docker.errors.APIError as error:
            raise RuntimeFailure(f"Docker cannot run {' '.join(command)}: {error.explanation}") from error

    def signal(self, name: str) -> None:
        """Send a signal to the main process."""
        self._client.kill(self._name, name)

    def wait(self, timeout: float) -> int:
        """Wait for the end; return the exit status.

        Raises:
            RuntimeFailure: it still runs.
        """
        import requests  # noqa: PLC0415 - the SDK has imported it

        try:
            return int(self._client.wait(self._name, timeout=max(1, round(timeout)))["StatusCode"])
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            raise RuntimeFailure(f"The container still runs after {timeout:g} seconds.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._cleanup.run(before_removal=self._drain)

    def _drain(self) -> None:
        """Let the last lines of the log arrive."""
        if self._follower:
            self._follower.join(_STOP_SECONDS)


class _Cleanup:
    """Removes a container exactly once: on leaving its context, on a signal, or when Python ends.

    SIGTERM and SIGHUP would end Python without unwinding; as long as the container exists they raise
    :class:`SystemExit` instead, as SIGINT raises :class:`KeyboardInterrupt`.
    """

    def __init__(self, client: docker.APIClient, name: str) -> None:
        self._client = client
        self.name = name
        self.attachment: Attachment | None = None
        """Its streams, when they were asked for."""
        self.watcher: subprocess.Popen[bytes] | None = None
        """What removes it when this process is killed."""
        self._done = False
        self._previous: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) == signal.SIG_DFL:
                    self._previous[number] = signal.signal(number, _exit_on_signal)
        atexit.register(self.run)

    def run(self, before_removal: Callable[[], None] | None = None) -> None:
        """Stop and remove the container; a second Ctrl-C does not interrupt it."""
        if self._done:
            return
        self._done = True
        interrupt = self._set_interrupt(signal.SIG_IGN)
        try:
            if self.attachment:  # first: a daemon may wait for streams that nobody reads any more
                self.attachment.close()
            self._remove(before_removal)
            self.tell(watcher.REMOVED)
        finally:
            self._dismiss()
            self._client.close()
            self._set_interrupt(interrupt)
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            atexit.unregister(self.run)

    def _remove(self, before_removal: Callable[[], None] | None) -> None:
        try:
            self._client.stop(self.name, timeout=_STOP_SECONDS)
            if before_removal:
                before_removal()
        except docker.errors.APIError:
            pass  # it has ended already, or the removal below says why
        with suppress(docker.errors.NotFound):
            self._client.remove_container(self.name, force=True, v=True)

    def tell(self, how_far: bytes) -> None:
        """Tell the watcher how far this is."""
        if self.watcher and self.watcher.stdin:
            with suppress(BrokenPipeError):
                self.watcher.stdin.write(how_far)

    def _dismiss(self) -> None:
        """Let the watcher go; where the container could not be removed, it tries for a while."""
        if self.watcher and self.watcher.stdin:
            self.watcher.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.watcher.wait(1)
            self.watcher = None

    def _set_interrupt(self, handler: Any) -> Any:
        if threading.current_thread() is not threading.main_thread() or handler is None:
            return None
        return signal.signal(signal.SIGINT, handler)


def _watcher(socket_path: str, name: str) -> subprocess.Popen[bytes]:
    """Start what removes a container when this process is killed; before the container is made."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", watcher.__file__, socket_path, name],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # Ctrl-C, and a signal to all of a command's processes, are not for it
    )


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _create(
    client: docker.APIClient, name: str, request: ContainerRequest, devices: Devices, this_machine: str
) -> None:
    bindings, exposed = _ports(request)
    host_config = client.create_host_config(
        port_bindings=bindings,
        binds=[*(f"{source}:{target}" for source, target in request.mounts), *devices.binds],
        **devices.host_config,
        extra_hosts={"host.docker.internal": this_machine} if request.reach_host else None,
        shm_size=_SHARED_MEMORY,
    )
    if request.size:
        # Daemons before API 1.42 take it on Windows only; there the size comes right after the start.
        host_config["ConsoleSize"] = list(request.size)
    client.create_container(
        request.image,
        command=list(request.command) if request.command is not None else None,
        entrypoint=list(request.entrypoint) if request.entrypoint is not None else None,
        environment={**request.env, **devices.edits.variables},
        ports=exposed,
        host_config=host_config,
        labels=owner.labels(),
        name=name,
        stdin_open=request.stdin,
        tty=request.tty,
        working_dir=request.workdir,
    )


def _place(client: docker.APIClient, name: str, devices: Devices) -> None:
    """Put the driver where the linker finds it, into a container that does not run yet."""
    placement = devices.edits.placement
    if placement == Placement():
        return
    try:
        stream, _ = client.get_archive(name, linker.PATH)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            member = tar.extractfile(tar.getmembers()[0])
            cache = member.read() if member else b""
    except docker.errors.NotFound:
        cache = b""  # the image has none
    client.put_archive(name, "/", place.archive(placement, cache))


def _resize(client: docker.APIClient, name: str, rows: int, columns: int) -> None:
    with suppress(docker.errors.APIError):  # it has ended, or has no terminal
        client.resize(name, height=rows, width=columns)


def _ports(request: ContainerRequest) -> tuple[dict[int | str, Any], list[int]]:
    """Return the SDK's bindings and the container's ports; the SDK adds the protocol to the latter."""
    if not request.publish and not request.interactive:
        return {_PORT: [(_LOOPBACK, request.port or None)]}, [int(_PORT.partition("/")[0])]
    bindings: dict[int | str, Any] = {}
    for address, host_port, port in request.publish:
        bindings.setdefault(f"{port}/tcp", []).append((address, host_port))
    return bindings, sorted({port for _, _, port in request.publish})


def _published_port(request: ContainerRequest) -> int | None:
    return next((host for _, host, port in request.publish if f"{port}/tcp" == _PORT), None)


def _host_port(client: docker.APIClient, name: str) -> int:
    ports = client.inspect_container(name)["NetworkSettings"]["Ports"]
    bindings = ports.get(_PORT) or []
    if not bindings:
        logs = client.logs(name).decode("utf-8", "replace").strip()
        raise RuntimeFailure("The container ended at once." + (f"\n\n{logs}" if logs else ""))
    return int(bindings[0]["HostPort"])


def feed_lines(stream: Iterator[bytes], sink: Callable[[str], None]) -> None:
    """Cut the stream into lines: Docker's frames end where the writer's buffer did."""
    rest = b""
    for frame in stream:
        *lines, rest = (rest + frame).split(b"\n")
        for line in lines:
            sink(line.decode("utf-8", "replace").rstrip("\r"))
    if rest:
        sink(rest.decode("utf-8", "replace"))


def _failure(error: docker.errors.DockerException, request: ContainerRequest) -> RuntimeFailure:
    said = str(getattr(error, "explanation", None) or error)
    if request.gpus and any(sign in said for sign in _NO_DRIVER):
        return MissingDeviceDriverError(
            f"Docker is missing required device driver: {said}",
            hint="Install the NVIDIA Container Toolkit, or run without --gpus.",
        )
    if isinstance(error, docker.errors.ImageNotFound):
        return RuntimeFailure(
            f"Failed to start container: {said}", hint=f"Build or pull {request.image} first."
        )
    if (
        "not found in $PATH" in said
        or "executable file not found" in said
        or "no such file or directory" in said
    ):
        program = (request.command or ("",))[0]
        return RuntimeFailure(
            f"Failed to start container: {said}",
            hint=f"Is {program} in the image? Programs come with system_packages and python_packages.",
        )
    if "port is already allocated" in said or "address already in use" in said:
        return RuntimeFailure(f"Failed to start container: {said}", hint="Choose another port.")
    return RuntimeFailure(f"Failed to start container: {said}")
