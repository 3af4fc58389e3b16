"""A container that never outlives its owner."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import sys
import tarfile
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import docker

from cog_nix.cdi import linker, place
from cog_nix.cdi.failures import MissingDeviceDriverError
from cog_nix.cdi.model import Placement
from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.cleanup import Cleanup
from cog_nix.runtime.container import (
    LOOPBACK,
    SHARED_MEMORY,
    BaseContainer,
    ContainerGoneError,
    ContainerStartError,
    HookFailedError,
    NoProgramError,
    NotInteractiveError,
    NotSignalledError,
    PortInUseError,
    StillRunningError,
)
from cog_nix_hooks.docker import owner, watcher
from cog_nix_hooks.docker.attach import Attachment
from cog_nix_hooks.docker.devices import Devices, gpu_request
from cog_nix_hooks.docker.failures import Cause, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cog_nix.plugins.spec import ContainerRequest, Streams

_PORT = "5000/tcp"
_STOP_SECONDS = 3
_ELSEWHERE = "Docker mounts folders of the machine that its daemon runs on, which lacks this one."


def start_container(
    client: docker.APIClient,
    request: ContainerRequest,
    devices: Devices | None = None,
    *,
    this_machine: str = "host-gateway",
    socket_path: str | None = None,
) -> DockerContainer:
    """Create and start a container that publishes port 5000 on loopback, or what the request says.

    Docker's hook that joins a container to its network fails now and then (20.10, in one of many thousand):
    where a hook fails, the container is made and started once more.

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
    with suppress(HookFailedError):
        return _start(client, request, devices, this_machine, socket_path)
    return _start(client, request, devices, this_machine, socket_path)


def _start(
    client: docker.APIClient,
    request: ContainerRequest,
    devices: Devices,
    this_machine: str,
    socket_path: str | None,
) -> DockerContainer:
    # A name of our own: an interrupted creation can be undone although its answer never came.
    name = f"cog-nix-{os.getpid()}-{secrets.token_hex(4)}"
    removal = _Removal(client, name)
    try:
        owner.remove_abandoned(client)
        if socket_path:
            with suppress(OSError):  # no more processes: then the next command removes what is left
                removal.watcher = _watcher(socket_path, name)
        removal.tell(watcher.MAKING)
        _create(client, name, request, devices, this_machine)
        removal.tell(watcher.MADE)
        _place(client, name, devices)
        if request.interactive:
            removal.attachment = Attachment(client, name, stdin=request.stdin, tty=request.tty)
        client.start(name)
        if request.size:
            _resize(client, name, *request.size)
        port = _published_port(request) if _publishes(request) else _host_port(client, name)
        return DockerContainer(client, removal, port)
    except docker.errors.DockerException as error:
        removal.run()
        raise _failure(error, request) from error
    except BaseException:
        removal.run()
        raise


class DockerContainer(BaseContainer):
    """A running container; leaving its context stops and removes it.

    Args:
        client: the daemon.
        removal: what removes it.
        port: the port on this machine; None: port 5000 is not published.
    """

    def __init__(self, client: docker.APIClient, removal: _Removal, port: int | None) -> None:
        super().__init__(port, removal.run)
        self._client = client
        self._removal = removal
        self._name = removal.name
        self._follower: threading.Thread | None = None
        removal.drain = self._drain

    def alive(self) -> bool:
        """Whether the main process still runs."""
        try:
            return bool(self._client.inspect_container(self._name)["State"]["Running"])
        except docker.errors.NotFound:
            return False

    def logs(self) -> str:
        """Return what the container wrote so far."""
        with _still_there():
            return _written(self._client, self._name).decode("utf-8", "replace")

    def follow_logs(self, sink: Callable[[str], None]) -> None:
        """Call ``sink`` with each line, from the first on, in a thread that ends with the container."""
        with _still_there():
            stream = self._client.logs(self._name, stdout=True, stderr=True, stream=True, follow=True)
        self._follower = threading.Thread(
            target=feed_lines, args=(stream, sink), daemon=True, name="container-logs"
        )
        self._follower.start()

    def attach(self, streams: Streams) -> int:
        """Copy between the container and these descriptors until it ends; return its exit status."""
        attachment = self._removal.attachment
        if attachment is None:
            raise NotInteractiveError
        attachment.copy(streams)
        with _still_there():
            status = int(self._client.wait(self._name, timeout=None)["StatusCode"])
        if attachment.torn:
            attachment.complete(streams, self._logged)
        return status

    def _logged(self, stream: str) -> bytes:
        with suppress(docker.errors.APIError):  # its logs may go where they cannot be read
            return _written(self._client, self._name, stream)
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
        """Send a signal to the main process.

        Raises:
            NotSignalledError: it has ended, or the daemon does not answer.
        """
        try:
            self._client.kill(self._name, name)
        except docker.errors.APIError as error:
            raise NotSignalledError(name, str(error.explanation)) from error

    def wait(self, timeout: float) -> int:
        """Wait for the end; return the exit status. It is a RuntimeFailure when it still runs."""
        import requests  # noqa: PLC0415 - the SDK has imported it

        try:
            with _still_there():
                return int(self._client.wait(self._name, timeout=max(1, round(timeout)))["StatusCode"])
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            raise StillRunningError(timeout) from error

    def _drain(self) -> None:
        """Let the last lines of the log arrive."""
        if self._follower:
            self._follower.join(_STOP_SECONDS)


@contextmanager
def _still_there() -> Iterator[None]:
    """Tell of a container that somebody else has removed, or is removing."""
    try:
        yield
    except docker.errors.APIError as error:
        raise ContainerGoneError(str(error.explanation)) from error


class _Removal:
    """Stops and removes a container when it is not needed any more, or when this process ends."""

    def __init__(self, client: docker.APIClient, name: str) -> None:
        self._client = client
        self.name = name
        self.attachment: Attachment | None = None
        """Its streams, when they were asked for."""
        self.watcher: subprocess.Popen[bytes] | None = None
        """What removes it when this process is killed."""
        self.drain: Callable[[], None] = lambda: None
        """Called between the container's end and its removal."""
        self.run = Cleanup(self._run).run

    def _run(self) -> None:
        try:
            if self.attachment:  # first: a daemon may wait for streams that nobody reads any more
                self.attachment.close()
            self._remove()
            self.tell(watcher.REMOVED)
        finally:
            self._dismiss()
            self._client.close()

    def _remove(self) -> None:
        with suppress(docker.errors.APIError):  # it has ended already, or the removal below says why
            self._client.stop(self.name, timeout=_STOP_SECONDS)
            self.drain()
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


def _create(
    client: docker.APIClient, name: str, request: ContainerRequest, devices: Devices, this_machine: str
) -> None:
    bindings, exposed = _ports(request)
    host_config = client.create_host_config(
        port_bindings=bindings,
        binds=[
            *(f"{source}:{target}" for source, target in request.mounts),
            *(f"{source}:{target}:ro" for source, target in request.read_only),
            *devices.binds,
        ],
        **devices.host_config,
        extra_hosts={"host.docker.internal": this_machine} if request.reach_host else None,
        shm_size=SHARED_MEMORY,
        read_only=request.sealed,
        tmpfs={"/tmp": "exec,mode=1777"} if request.sealed else None,  # noqa: S108 - in the container
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
    if not _publishes(request):
        return {_PORT: [(LOOPBACK, request.port or None)]}, [int(_PORT.partition("/")[0])]
    bindings: dict[int | str, Any] = {}
    for address, host_port, port in request.publish:
        bindings.setdefault(f"{port}/tcp", []).append((address, host_port))
    return bindings, sorted({port for _, _, port in request.publish})


def _publishes(request: ContainerRequest) -> bool:
    """Whether it says itself which ports are published; none, when it is interactive."""
    return bool(request.publish or request.interactive)


def _published_port(request: ContainerRequest) -> int | None:
    return next((host for _, host, port in request.publish if f"{port}/tcp" == _PORT), None)


def _host_port(client: docker.APIClient, name: str) -> int:
    ports = client.inspect_container(name)["NetworkSettings"]["Ports"]
    bindings = ports.get(_PORT) or []
    if not bindings:
        logs = _written(client, name).decode("utf-8", "replace").strip()
        raise RuntimeFailure("The container ended at once." + (f"\n\n{logs}" if logs else ""))
    return int(bindings[0]["HostPort"])


def _written(client: docker.APIClient, name: str, stream: str = "") -> bytes:
    """Return what a container wrote to stdout or stderr; to both when neither is named."""
    text: bytes = client.logs(name, stdout=stream != "stderr", stderr=stream != "stdout")
    return text


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
    refusal = Refusal.read(error)
    if request.gpus and refusal.cause is Cause.NO_GPU_DRIVER:
        return MissingDeviceDriverError(
            f"Docker is missing required device driver: {refusal.said}",
            hint="Install the NVIDIA Container Toolkit, or run without --gpus.",
        )
    if refusal.cause is Cause.NO_PROGRAM:
        return NoProgramError((request.command or ("",))[0], refusal.said)
    if refusal.cause is Cause.PORT_IN_USE:
        return PortInUseError(refusal.said)
    if refusal.cause is Cause.HOOK:
        return HookFailedError(refusal.said)
    hint = f"Build or pull {request.image} first." if refusal.cause is Cause.NO_IMAGE else ""
    return ContainerStartError(refusal.said, hint=_ELSEWHERE if refusal.cause is Cause.NO_FOLDER else hint)
