"""Docker daemons of other versions, each in a freshly installed Debian and a network of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

from cog_nix_hooks.docker.endpoint import Endpoint
from cog_nix_hooks.docker.engine import Engine
from tests.hosts import Host, bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("docker.io", "docker-cli", "openssh-server")
SUITES = ("trixie", "sid")
"""Debian's releases whose Docker is tried: 26.1, and the newest that Debian has."""
TCP_PORT, TLS_PORT = 2375, 2376
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

    @property
    def certificates(self) -> Path:
        """Folder with what a client of TLS needs, as ``DOCKER_CERT_PATH`` has it."""
        return self.socket.parent / "client"

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
def daemon(suite: str, folder: Path, sockets: Path, *, tls: bool) -> Iterator[Daemon]:
    """Start a suite's Docker; it ends with the context.

    Args:
        suite: of :data:`SUITES`.
        folder: what the daemon holds, and the machine's changes.
        sockets: for its socket; the path has to be short.
        tls: whether its TCP port speaks TLS, with certificates for both sides.
    """
    host = Host(bootstrap(suite, PACKAGES), folder, cgroups="v1", own_network=True, binds={_SOCKETS: sockets})
    # It makes no bridge and no rules: its containers need no network.
    config = {"bridge": "none", "iptables": False, "features": {"containerd-snapshotter": True}}
    (sockets / "daemon.json").write_text(json.dumps(config))
    with host:
        options = [f"--host=unix://{_SOCKETS}/docker.sock", "--host=unix:///run/docker.sock"]
        options += [f"--host=tcp://127.0.0.1:{TLS_PORT if tls else TCP_PORT}"]
        options += _certificates(sockets) if tls else []
        command = host.command(["dockerd", f"--config-file={_SOCKETS}/daemon.json", *options])
        with (folder / "dockerd.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        made = Daemon(host, sockets / "docker.sock")
        try:
            _wait(made, process, folder / "dockerd.log")
            yield made
        finally:
            process.kill()
            process.wait()


def _certificates(folder: Path) -> list[str]:
    """Write certificates of both sides; return the daemon's options."""
    authority = trustme.CA()
    for name, issued in (
        ("server", authority.issue_cert("127.0.0.1")),
        ("client", authority.issue_cert("c")),
    ):
        (folder / name).mkdir()
        authority.cert_pem.write_to_path(folder / name / "ca.pem")
        issued.private_key_pem.write_to_path(folder / name / "key.pem")
        issued.cert_chain_pems[0].write_to_path(folder / name / "cert.pem")
    options = {"tlscacert": "ca.pem", "tlscert": "cert.pem", "tlskey": "key.pem"}
    return ["--tlsverify", *(f"--{option}={_SOCKETS}/server/{name}" for option, name in options.items())]


@contextmanager
def ssh_server(daemon: Daemon, folder: Path) -> Iterator[Path]:
    """Let a daemon's machine be reached over SSH, port 22; yield a folder with an ``ssh`` that may.

    Args:
        daemon: whose machine.
        folder: to write to.
    """
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    script = 'mkdir -p /run/sshd /root/.ssh; chmod 700 /root/.ssh; echo "$1" > /root/.ssh/authorized_keys'
    daemon.host.check(["sh", "-c", script, "sh", key.with_suffix(".pub").read_text()])
    options = f"-i {key} -o UserKnownHostsFile={folder}/known -o StrictHostKeyChecking=no -o BatchMode=yes"
    program = folder / "bin/ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F none {options} "$@"\n')
    program.chmod(0o755)
    with (folder / "sshd.log").open("wb") as log:
        command = daemon.host.command(["/usr/sbin/sshd", "-D", "-e"])
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield program.parent
    finally:
        server.kill()
        server.wait()


def _wait(made: Daemon, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not made.socket.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    made.engine().ping()
