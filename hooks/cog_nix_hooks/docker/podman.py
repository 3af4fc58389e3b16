"""Podman, through the Docker API that it serves: a socket that is there, or a service started for a while."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, closing, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure
from cog_nix.system.paths import cache_dir
from cog_nix_hooks.docker import podman_probe
from cog_nix_hooks.docker.endpoint import Endpoint
from cog_nix_hooks.docker.runtime import ALL_ADDRESSES, DockerRuntime
from cog_nix_hooks.docker.sdk import asking, sdk_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    import docker

    from cog_nix.plugins.spec import Container, ContainerRequest

_TAKES_NAMES = (5, 5)
"""Podman whose Docker API honours requests for CDI devices."""
_IDLE_SECONDS = 60
"""So long a service that we started waits for the next command."""
_START_SECONDS = 20
_UNIX = "unix://"
_SOCKET = "podman.sock"
"""In the cache: of the service that we start."""
_GATEWAY = "host-gateway"
_KNOWS_GATEWAY = (5,)
"""Podman's first major version that surely knows Docker's name for the address of the host."""


class PodmanRuntime(DockerRuntime):
    """Podman, wherever ``CONTAINER_HOST`` says it is, or this user's own."""

    name = "podman"
    title = "Podman"

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where it answers; starts a service where nothing listens.

        Raises:
            RuntimeFailure: there is no Podman, or its service does not start.
        """
        return find_service(os.environ) or start_service(cache_dir() / _SOCKET)

    def available(self) -> str | None:
        """Return None when Podman answers, otherwise why not, in a sentence."""
        try:
            self.endpoint  # noqa: B018 - finding it may fail
        except RuntimeFailure as error:
            return error.message
        return super().available()

    def why_no_containers(self) -> str | None:
        """Return None when a container can be started, where it is this machine's own Podman; it is tried."""
        ours = cache_dir() / _SOCKET
        return podman_probe.failure(ours.parent) if self.endpoint.socket_path == str(ours) else None

    def listening_address(self) -> str:
        """Return any address: a plain user's containers reach this machine at one that it has elsewhere."""
        return ALL_ADDRESSES

    def start(self, request: ContainerRequest) -> Container:
        """Start a container; see :func:`cog_nix_hooks.docker.container.start_container`.

        Its Docker API ignored GPUs before version 5.5. Since then it takes CDI names; an older Podman, and
        one on a machine without specifications, gets what the devices need in single pieces.
        """
        from cog_nix_hooks.docker.container import start_container  # noqa: PLC0415 - imports the SDK
        from cog_nix_hooks.docker.devices import for_podman  # noqa: PLC0415 - as above

        with ExitStack() as stack:
            client = stack.enter_context(closing(sdk_client(self.endpoint)))
            with asking(client, self.endpoint):
                said = version(client) if request.gpus else ""
                address = this_machine(client) if request.reach_host else _GATEWAY
            devices = None
            if request.gpus:
                known = numbers(said) >= _TAKES_NAMES
                devices = for_podman(request.gpus, said, self.endpoint, takes_names=known)
            stack.pop_all()  # it is the container's from here on
        path = self.endpoint.socket_path
        return start_container(client, request, devices, this_machine=address, socket_path=path)


def find_service(environ: Mapping[str, str]) -> Endpoint | None:
    """Return the service that listens already: ``CONTAINER_HOST``, this user's, or the system's."""
    if host := environ.get("CONTAINER_HOST"):
        return Endpoint(host)
    folders = [environ.get("XDG_RUNTIME_DIR"), "/run" if os.geteuid() == 0 else None]
    sockets = [Path(folder, "podman/podman.sock") for folder in folders if folder]
    return next((Endpoint(f"{_UNIX}{path}") for path in sockets if _listens(path)), None)


def start_service(path: Path) -> Endpoint:
    """Start Podman's service at a socket of our own, or take the one that an earlier command started.

    Raises:
        RuntimeFailure: Podman is not installed, or does not start.
    """
    if _listens(path):
        return Endpoint(f"{_UNIX}{path}")
    if not shutil.which("podman"):
        raise RuntimeFailure(
            "Podman is not installed: there is no podman command, and nothing listens at its socket.",
            hint="Install it (`sudo apt-get install podman`), or use another --runtime.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.with_suffix(".log")
    with log.open("wb") as said:
        service = subprocess.Popen(
            ["podman", "system", "service", f"--time={_IDLE_SECONDS}", f"{_UNIX}{path}"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,  # it serves the next commands too
        )
    deadline = time.monotonic() + _START_SECONDS
    while not _listens(path):
        if service.poll() is not None or time.monotonic() > deadline:
            service.kill()
            service.wait()
            words = log.read_text(errors="replace").strip()
            raise RuntimeFailure(f"Podman's service does not start: {words}", hint="Look at `podman info`.")
        time.sleep(0.02)
    return Endpoint(f"{_UNIX}{path}")


def this_machine(client: docker.APIClient) -> str:
    """Return where containers reach this machine: Docker's word for it, or an address where Podman has none.

    Podman 4 writes ``host-gateway`` into ``/etc/hosts`` as it is. Root's containers reach the machine at the
    bridge's address, a plain user's at the one that the machine has in its own network, as for Podman's
    ``host.containers.internal``.
    """
    from docker.errors import NotFound  # noqa: PLC0415 - who has a client has imported it

    if numbers(version(client)) >= _KNOWS_GATEWAY:
        return _GATEWAY
    with suppress(
        AttributeError, TypeError, LookupError, NotFound
    ):  # it says something else than Podman does
        if "name=rootless" in (client.info()["SecurityOptions"] or ()):
            return _own_address()
        for entry in client.inspect_network("podman")["IPAM"]["Config"]:
            if isinstance(address := entry.get("Gateway"), str) and address:
                return address
    return _own_address()


def version(client: docker.APIClient) -> str:
    """Return Podman's version as it says it; "": it does not."""
    said = client.version()
    return str(said.get("Version", "")) if isinstance(said, dict) else ""


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, ``5.4.2-rc1`` as ``(5, 4, 2)``."""
    return tuple(map(int, re.findall(r"[0-9]{1,9}", text.partition("-")[0])))


def _own_address() -> str:
    """Return the address that this machine sends from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address that documentation uses
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
