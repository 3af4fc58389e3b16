"""What a container's main process is: arguments, environment, folder, user, and where its server listens."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure
from cog_nix_hooks.bundle.users import User, find_user

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.spec import ContainerRequest
    from cog_nix_hooks.bundle.images import HeldImage

SERVER = "cog.server.http"
LOOPBACK = "127.0.0.1"
_PORT = 5000
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Process:
    """A container's main process."""

    args: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    user: User
    tty: bool
    mounts: tuple[tuple[Path, str], ...]
    """``(host path, container path)``."""
    port: int
    """Where its server listens on this machine."""


def describe(image: HeldImage, request: ContainerRequest, layers: Sequence[Path], name: str) -> Process:
    """Return what an image and a request make of a container's main process.

    The container has the host's network, so nothing can be published to another port: Cog's server is told
    to listen where the request wants it (``PORT`` and ``--host``), on loopback unless that names an address.

    Args:
        image: what runs.
        request: how.
        layers: folders of the image's layers, from bottom to top.
        name: of the container.

    Raises:
        RuntimeFailure: there is nothing to run, an unknown user, or a port that cannot be had.
    """
    config = image.config
    entrypoint = config.get("Entrypoint") if request.entrypoint is None else request.entrypoint
    command = config.get("Cmd") if request.command is None else request.command
    if request.entrypoint is not None and request.command is None:
        command = None  # as Docker: the image's Cmd belongs to its Entrypoint
    args = [*(entrypoint or ()), *(command or ())]
    if not args:
        raise RuntimeFailure(f"The image {request.image} names no command.", hint="Name one.")
    address, port = _listen(request)
    env = dict(line.partition("=")[::2] for line in config.get("Env") or ())
    user = find_user(config.get("User") or "", layers)
    env = {"PATH": _PATH, "HOME": user.home, "HOSTNAME": name, **env}
    if request.tty:
        env.setdefault("TERM", "xterm")
    env.update(request.env)
    if SERVER in args:
        if request.env.get("PORT", "").isdecimal():
            port = int(request.env["PORT"])  # who names a port means it
        env["PORT"] = str(port)
        if not any(arg == "--host" or arg.startswith("--host=") for arg in args):
            args += ["--host", address]
    if os.geteuid() != 0 and (user.uid, user.gid) != (0, 0):
        raise RuntimeFailure(
            f"The image {request.image} runs as the user {user.uid}, which only root can become.",
            hint="Run it as root, or with --runtime docker.",
        )
    cwd = request.workdir or config.get("WorkingDir") or "/"
    return Process(tuple(args), env, cwd, user, request.tty, request.mounts, port)


def _listen(request: ContainerRequest) -> tuple[str, int]:
    for address, host_port, container_port in request.publish:
        if container_port == _PORT:
            return address or LOOPBACK, host_port or free_port()
        if host_port != container_port:
            raise RuntimeFailure(
                f"The port {container_port} cannot be published as {host_port}: "
                "the daemonless runtime has the machine's own network.",
                hint=f"Use the port {container_port} itself, or --runtime docker.",
            )
    return LOOPBACK, request.port or free_port()


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
