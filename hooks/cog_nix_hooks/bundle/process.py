"""What a container's main process is: arguments, environment, folder, user, and where its server listens."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure
from cog_nix.namespaces import mounts_as_root
from cog_nix.runtime.container import LOOPBACK, NoProgramError, PortInUseError
from cog_nix_hooks.bundle.path_lookup import has_program
from cog_nix_hooks.bundle.users import User, find_user

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.plugins.spec import ContainerRequest
    from cog_nix_hooks.bundle.images import HeldImage

SERVER = "cog.server.http"
_PORT = 5000
_THIS_MACHINE = "host.docker.internal"
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
    read_only: tuple[tuple[Path, str], ...]
    """The same, where nothing is written."""
    port: int | None
    """Where its server listens on this machine; None: nobody asked for port 5000."""
    size: tuple[int, int] | None = None
    """Rows and columns of its terminal when it starts."""
    hosts: tuple[str, ...] = ()
    """Lines that its ``/etc/hosts`` has beside this machine's."""
    sealed: bool = False
    """Whether nothing but ``/tmp`` can be written to."""
    mapped: bool = False
    """Whether who runs it, who is not root, is its user."""


def describe(image: HeldImage, request: ContainerRequest, layers: Sequence[Path], name: str) -> Process:
    """Return what an image and a request make of a container's main process.

    The container has the host's network, so nothing can be published to another port: Cog's server is told
    to listen where the request wants it (``PORT`` and ``--host``), on loopback unless that names an address.

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
        raise RuntimeFailure(f"The image {request.image} has no command to run.", hint="Name a command.")
    address, port = _listen(request)
    if port is not None:
        _require_free(address, port)
    env = dict(line.partition("=")[::2] for line in config.get("Env") or ())
    user = find_user(config.get("User") or "", layers)
    env = {"PATH": _PATH, "HOME": user.home, "HOSTNAME": name, **env}
    if request.tty:
        env.setdefault("TERM", "xterm")
    env.update(request.env)
    port = _tell_where(args, env, request, (address, port))
    cwd = request.workdir or config.get("WorkingDir") or "/"
    if not has_program(args[0], env, cwd, layers, (*request.mounts, *request.read_only)):
        raise NoProgramError(args[0], f'exec: "{args[0]}": executable file not found in $PATH')
    hosts = (f"{LOOPBACK}\t{_THIS_MACHINE}",) if request.reach_host else ()
    seen = request.mounts, request.read_only
    # A plain user is one user in there: root, unless the image names another.
    mapped = not mounts_as_root() and (user.uid, user.gid) != (0, 0)
    return Process(
        tuple(args),
        env,
        cwd,
        user,
        request.tty,
        *seen,
        port,
        size=request.size,
        hosts=hosts,
        sealed=request.sealed,
        mapped=mapped,
    )


def _tell_where(
    args: list[str], env: dict[str, str], request: ContainerRequest, where: tuple[str, int | None]
) -> int | None:
    """Tell Cog's server where to listen, in its arguments and environment; return the port."""
    address, port = where
    if SERVER in args:
        port = port or free_port()
        if not any(arg == "--host" or arg.startswith("--host=") for arg in args):
            args += ["--host", address]
    if port is not None:
        if request.env.get("PORT", "").isdecimal():
            port = int(request.env["PORT"])  # who names a port means it
        env["PORT"] = str(port)  # also where a shell starts the server
    return port


def _listen(request: ContainerRequest) -> tuple[str, int | None]:
    found: tuple[str, int | None] = (LOOPBACK, None)
    for address, host_port, container_port in request.publish:
        if container_port == _PORT:
            found = (address or LOOPBACK, host_port or free_port())
        elif host_port != container_port:
            raise RuntimeFailure(
                f"The port {container_port} cannot be published as {host_port}: "
                "the daemonless runtime has the machine's own network.",
                hint=f"Use the port {container_port} itself, or --runtime docker.",
            )
        else:
            _require_free(address, host_port)
    if found[1] is not None or request.publish or request.interactive:
        return found
    return LOOPBACK, request.port or free_port()


def _require_free(address: str, port: int) -> None:
    """Refuse a port that is taken, before the program in the container fails at it in words of its own.

    Raises:
        RuntimeFailure: something listens there, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: connections of one that has ended are no harm.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise PortInUseError(f"{address}:{port}: {error.strerror or error}") from error


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
