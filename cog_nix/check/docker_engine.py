"""Docker and Podman, as far as a witness needs them."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Self, cast

from cog_nix.check.case import CompatError
from cog_nix.check.result import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from docker import DockerClient
    from docker.models.containers import Container

    from cog_nix.plugins.spec import Runtime
    from cog_nix_hooks.docker.podman import PodmanRuntime

PORT = "5000/tcp"
_HOST = "host.docker.internal"
_ALL = "0.0.0.0"  # noqa: S104 - where no address is known that only containers reach; the paths are unguessable


@contextlib.contextmanager
def connected(podman: Runtime | None = None) -> Iterator[DockerEngine]:
    """Yield the Docker daemon that the environment names, or Podman's service.

    Raises:
        CompatError: it does not answer.
    """
    import docker  # noqa: PLC0415 - takes long to import, and only this function needs it
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = docker.DockerClient(base_url=_endpoint(podman)) if podman else docker.from_env()
        client.ping()
    except DockerException as error:
        raise CompatError(
            f"No Docker daemon answers: {error}", hint="Start Docker, or set DOCKER_HOST to where it listens."
        ) from error
    try:
        yield _podman_engine(client) if podman else DockerEngine(client, gateway(client))
    finally:
        client.close()


def _endpoint(podman: Runtime) -> str:
    return cast("PodmanRuntime", podman).endpoint.host


def _podman_engine(client: DockerClient) -> DockerEngine:
    from cog_nix_hooks.docker.podman import this_machine  # noqa: PLC0415

    return DockerEngine(client, _ALL, this_machine(client.api))


def gateway(client: DockerClient) -> str:
    """Return the address of this machine on Docker's default bridge, any address if it has none here."""
    network = client.networks.get("bridge")
    for entry in (network.attrs.get("IPAM") or {}).get("Config") or []:
        if "Gateway" in entry:
            return str(entry["Gateway"])
    return _ALL


class DockerEngine:
    """A Docker daemon, or what speaks like one.

    Args:
        client: it.
        address: where on this machine its containers reach a listener.
        gateway: the address that they know this machine by, or Docker's word for it.
    """

    host = _HOST

    def __init__(self, client: DockerClient, address: str, gateway: str = "host-gateway") -> None:
        self.address = address
        self._client = client
        self._gateway = gateway

    def inspect(self, reference: str) -> Mapping[str, Any]:
        """Return what it knows of an image; see :class:`cog_nix.check.engine.Engine`."""
        from docker.errors import ImageNotFound  # noqa: PLC0415

        try:
            attributes: Mapping[str, Any] = self._client.images.get(reference).attrs
        except ImageNotFound as error:
            raise CompatError(
                f"Docker has no image {reference!r}.", hint="Build it first, or pull it with `docker pull`."
            ) from error
        return attributes

    def start(
        self, image: str, *, env: Mapping[str, str], command: Sequence[str] | None = None
    ) -> DockerRunning:
        """Start a container; see :class:`cog_nix.check.engine.Engine`."""
        from docker.errors import APIError  # noqa: PLC0415

        container = None
        try:
            container = self._client.containers.create(
                image,
                command=list(command) if command is not None else None,
                environment=dict(env),
                ports={PORT: ("127.0.0.1", 0)},
                extra_hosts={_HOST: self._gateway},
            )
            container.start()
        except APIError as error:
            if container is not None:
                container.remove(force=True, v=True)
            raise Broken(f"Docker cannot start it: {error.explanation or error}") from error
        return DockerRunning(container)


class DockerRunning:
    """A container of the image under test; leaving the context removes it."""

    def __init__(self, container: Container) -> None:
        self._container = container

    @property
    def url(self) -> str:
        """Where the model's server answers.

        Raises:
            Broken: the container has ended.
        """
        self._container.reload()
        for binding in self._container.ports.get(PORT) or ():
            return f"http://127.0.0.1:{binding['HostPort']}"
        raise Broken(f"the container does not run; it wrote: {self.logs()[-400:]}")

    def alive(self) -> bool:
        """Whether the main process still runs."""
        self._container.reload()
        return str(self._container.status) == "running"

    def run(self, command: str) -> tuple[int, str]:
        """Run a shell command inside; return its exit status, and stdout and stderr together."""
        done = self._container.exec_run(["/bin/sh", "-c", command])
        if done.exit_code is None or not isinstance(done.output, bytes):
            raise CompatError(f"Docker gave no answer to `{command}`")
        return done.exit_code, done.output.decode("utf-8", "replace")

    def stop(self, signal: str, within: float) -> tuple[int | None, float]:
        """Send a signal and wait; return the exit status (None: it still runs) and the seconds it took."""
        begun = time.monotonic()
        self._container.kill(signal=signal)
        while time.monotonic() - begun < within:
            self._container.reload()
            if self._container.status == "exited":
                return int(self._container.attrs["State"]["ExitCode"]), time.monotonic() - begun
            time.sleep(0.05)
        return None, time.monotonic() - begun

    def logs(self) -> str:
        """Return the last lines of what the container wrote."""
        return self._container.logs(tail=20).decode("utf-8", "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        from docker.errors import NotFound  # noqa: PLC0415

        with contextlib.suppress(NotFound):
            self._container.remove(force=True, v=True)
