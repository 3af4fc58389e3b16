"""Whose a container is: labels that tell, and the removal of those whose owner is gone.

A container outlives the process that started it, when that one is killed. So it carries which process that
is: the machine, its boot, the namespace that numbers processes there, the number, and when the process began
(proc(5)), for numbers are used again. Whoever starts the next container removes those of gone owners.

Several machines may share a daemon: what another machine started is left alone, and so is what another
container of this machine started, whose processes cannot be seen from here.
"""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import docker

from cog_nix.system.boot import this_boot

if TYPE_CHECKING:
    from collections.abc import Mapping

PROCESS_LABEL = "run.cog.nix.owner"
"""Process id of the owner: ``docker ps -a --filter label=run.cog.nix.owner`` shows all of cog-nix's."""
_MACHINE_LABEL = "run.cog.nix.owner.machine"
_BEGUN_LABEL = "run.cog.nix.owner.begun"
_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_PROC = Path("/proc")
_FIELDS_BEFORE_STATE = 2
_START_TIME = 22
"""Number of the field of ``/proc/PID/stat``."""


@dataclass(frozen=True)
class Owner:
    """A process."""

    pid: int
    machine: str
    """A digest of what tells this machine from others."""
    boot: str
    namespace: str
    """Those in which its number and its beginning hold."""
    ticks: int
    """When it began, in clock ticks after the boot."""

    @property
    def labels(self) -> dict[str, str]:
        """What a container carries."""
        return {
            PROCESS_LABEL: str(self.pid),
            _MACHINE_LABEL: self.machine,
            _BEGUN_LABEL: f"{self.boot} {self.namespace} {self.ticks}",
        }

    @classmethod
    def read(cls, labels: Mapping[str, str]) -> Self | None:
        """Return whose a container with these labels is; None: they do not say."""
        try:
            boot, namespace, ticks = labels[_BEGUN_LABEL].split(" ")
            return cls(int(labels[PROCESS_LABEL]), labels[_MACHINE_LABEL], boot, namespace, int(ticks))
        except (KeyError, ValueError):
            return None

    def is_gone(self, seen_by: Owner) -> bool:
        """Whether this process has ended for sure."""
        if self.machine != seen_by.machine:
            return False
        if self.boot != seen_by.boot:
            return True
        return self.namespace == seen_by.namespace and _has_ended(self)


def this_process() -> Owner | None:
    """Return this process as an owner; None where ``/proc`` does not say."""
    ticks = _began(os.getpid())
    with suppress(OSError):
        spaces = [_PROC / "self/ns" / kind for kind in ("pid", "time")]
        namespace = ",".join(one.readlink().name for one in spaces if one.is_symlink())
        if ticks is not None:
            return Owner(os.getpid(), _machine(), this_boot(), namespace, ticks)
    return None


def labels() -> dict[str, str]:
    """Return what a container of this process carries."""
    me = this_process()
    return me.labels if me else {PROCESS_LABEL: str(os.getpid())}


def remove_abandoned(client: docker.APIClient) -> None:
    """Remove the containers, running or not, whose owners are gone. What cannot be removed stays."""
    me = this_process()
    if me is None:
        return
    with suppress(docker.errors.DockerException, OSError):
        for one in client.containers(all=True, filters={"label": f"{_MACHINE_LABEL}={me.machine}"}):
            owner = Owner.read(one.get("Labels") or {})
            if owner and owner.is_gone(me):
                with suppress(docker.errors.APIError):
                    client.remove_container(one["Id"], force=True, v=True)


def _has_ended(owner: Owner) -> bool:
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # another user's, whom /proc may hide (proc(5), hidepid)
    ticks = _began(owner.pid)
    return ticks is not None and ticks != owner.ticks


def _began(pid: int) -> int | None:
    """Return when a process began, in clock ticks after the boot; 0: it has ended; None: that is hidden."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The second field is the program's name, which may be anything.
    fields = stat.rpartition(b")")[2].split()
    ended = fields[0] in {b"Z", b"X"}
    return 0 if ended else int(fields[_START_TIME - _FIELDS_BEFORE_STATE - 1])


@cache
def _machine() -> str:
    """Return a digest for this machine, which machine-id(5) asks for where its id is shown to others.

    Copies of a machine may have one id, so its name counts as well. Without an id it is another machine after
    each boot.
    """
    known = ""
    for path in _MACHINE_IDS:
        with suppress(OSError):
            known = known or path.read_text(encoding="ascii", errors="replace").strip()
    words = ("cog-nix", known or this_boot(), socket.gethostname())
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
