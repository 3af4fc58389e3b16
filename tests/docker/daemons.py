"""Docker daemons of other versions, each in a freshly installed Debian and a network of its own."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix_hooks.docker.endpoint import Endpoint
from cog_nix_hooks.docker.engine import Engine
from tests.hosts import Host, bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("docker.io", "docker-cli", "openssh-server")
SUITES = ("trixie", "sid")
"""Debian's releases whose Docker is tried: 26.1, and the newest that Debian has."""
_SOCKETS = "/sockets"
_START_SECONDS = 60


@dataclass(frozen=True)
class Daemon:
    """A running Docker daemon with containerd's image store."""

    host: Host
    socket: Path
    """Where it answers on this machine."""

    @property
    def address(self) -> str:
        """As ``DOCKER_HOST`` has it."""
        return f"unix://{self.socket}"

    def engine(self) -> Engine:
        """Return a new connection."""
        return Engine(Endpoint(self.address))

    def docker(self, *arguments: str) -> str:
        """Run the machine's own docker command."""
        return self.host.check(["docker", "-H", f"unix://{_SOCKETS}/docker.sock", *arguments])

    def inside(self, command: list[str]) -> list[str]:
        """Return a command that sees this machine's files and the daemon's network."""
        entered = self.host.command(["true"])
        return [*(word for word in entered[:2]), "--net", *command]


@contextmanager
def daemon(suite: str, folder: Path, sockets: Path) -> Iterator[Daemon]:
    """Start a suite's Docker; it ends with the context.

    Args:
        suite: of :data:`SUITES`.
        folder: what the daemon holds, and the machine's changes.
        sockets: for its socket; the path has to be short.
    """
    host = Host(bootstrap(suite, PACKAGES), folder, cgroups="v1", own_network=True, binds={_SOCKETS: sockets})
    # It makes no bridge and no rules: its containers need no network.
    config = {"bridge": "none", "iptables": False, "features": {"containerd-snapshotter": True}}
    (sockets / "daemon.json").write_text(json.dumps(config))
    with host:
        options = [f"--host=unix://{_SOCKETS}/docker.sock", f"--config-file={_SOCKETS}/daemon.json"]
        command = host.command(["dockerd", *options])
        with (folder / "dockerd.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        made = Daemon(host, sockets / "docker.sock")
        try:
            _wait(made, process, folder / "dockerd.log")
            yield made
        finally:
            process.kill()
            process.wait()


def _wait(made: Daemon, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not made.socket.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    made.engine().ping()
