"""A Docker daemon at ``ssh://…``, as a Unix socket of this machine.

The ``docker`` command there connects its standard streams with the daemon (``docker system dial-stdio``, as
the docker command here would have it). Each connection to the socket becomes one such ssh, with the user's
own ssh and configuration. They share one session, so only the first pays for its handshake.

The SDK can do this as well, but only where paramiko is installed, even when it is told to use ssh.
"""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import threading
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cog_nix.system.processes import spawn
from cog_nix.system.scratch import release, reserve

if TYPE_CHECKING:
    from pathlib import Path

_LINGERS_SECONDS = 20
"""So long the session waits for the next connection."""


@cache
def local_socket(host: str) -> str:
    """Return the path of a socket that leads to the daemon; it is there until this process ends.

    Args:
        host: ``ssh://[user@]host[:port]``.

    Raises:
        OSError: ssh cannot be started.
    """
    if not shutil.which("ssh"):
        raise FileNotFoundError("there is no ssh command")
    folder = reserve("ssh")
    folder.mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "docker.sock"))
    listener.listen()
    command = ssh_command(host, folder / "session")
    threading.Thread(target=_serve, args=(listener, command), daemon=True).start()
    atexit.register(_end, folder, command)
    return str(folder / "docker.sock")


def ssh_command(host: str, session: Path) -> list[str]:
    """Return what connects its standard streams with the daemon.

    Args:
        host: ``ssh://[user@]host[:port]``.
        session: path of the socket by which connections share a session (ssh_config(5), ControlPath).
    """
    url = urlsplit(host)
    command = ["ssh", "-T", "-o", "ControlMaster=auto", "-o", f"ControlPath={session}"]
    command += ["-o", f"ControlPersist={_LINGERS_SECONDS}"]
    command += ["-l", url.username] if url.username else []
    command += ["-p", str(url.port)] if url.port else []
    return [*command, "--", url.hostname or "", "docker", "system", "dial-stdio"]


def _serve(listener: socket.socket, command: list[str]) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            process = spawn(command, stdin=connection.fileno(), stdout=connection.fileno())
        threading.Thread(target=process.wait, daemon=True).start()


def _end(folder: Path, command: list[str]) -> None:
    session = [*command[: command.index("--")], "-O", "exit", *command[command.index("--") :][:2]]
    if (folder / "session").exists():
        subprocess.run(session, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    release(folder)
