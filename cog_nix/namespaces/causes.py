"""From a step that failed to its cause, in a sentence, and the one thing that helps."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cog_nix.namespaces.surroundings import Container, Surroundings

Cause = Literal["setting", "filter", "masked-proc", "mount-rules", "chroot", "kernel", "unknown"]

_NEED = "Builds and containers run in user namespaces, "
_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"
_CLONE = "kernel.unprivileged_userns_clone"
_LIMIT = "user.max_user_namespaces"
_ALLOWED = 15000
"""About as many as the kernel allows by itself on a machine with 4 GB."""
_DID = {
    "user": "making one",
    "map": "becoming root in one",
    "other": "making other namespaces in one",
    "mount": "mounting a file system in one",
    "proc": "mounting /proc in one",
}
"""What each of :data:`cog_nix.namespaces.program.STEPS` does."""
_POD = (
    "Give the pod  hostUsers: false  and its container's securityContext  "
    "procMount: Unmasked, seccompProfile: {type: Unconfined}"
)


@dataclass(frozen=True)
class Failure:
    """A step that failed (:data:`cog_nix.namespaces.program.STEPS`), and the kernel's error number."""

    step: str
    number: int

    def __str__(self) -> str:
        return f"{_DID[self.step]}: {os.strerror(self.number)}"


@dataclass(frozen=True)
class Obstacle:
    """What keeps namespaces from being made."""

    cause: Cause
    message: str
    """A sentence."""
    remedy: str
    """One command, or one change, after which they can be made."""


def explain(failure: Failure, where: Surroundings) -> Obstacle:
    """Find the cause of a failure."""
    container = where.container()
    if assignment := _setting(failure, where):
        on = "On the machine that runs this container:  " if container else ""
        why = f"and this machine's settings forbid them ({assignment.why})."
        return Obstacle("setting", f"{_NEED}{why}", f"{on}sudo sysctl -w {assignment.command}")
    cause, why = _cause(failure, where)
    if container:
        return Obstacle(cause, f"{_NEED}{why}", _start(container, failure, where))
    return Obstacle(cause, f"{_NEED}{why}", _OUTSIDE[cause])


@dataclass(frozen=True)
class _Assignment:
    command: str
    why: str


def _setting(failure: Failure, where: Surroundings) -> _Assignment | None:
    """Return the change of the kernel's settings that helps, where one of them is the cause."""
    if failure.number == errno.ENOSPC or (failure.step == "user" and where.setting(_LIMIT) == "0"):
        return _Assignment(f"{_LIMIT}={_ALLOWED}", f"{_LIMIT} allows no more")
    if where.user != 0 and failure.step == "user" and where.setting(_CLONE) == "0":
        return _Assignment(f"{_CLONE}=1", f"{_CLONE} is 0")  # Debian's, off until Debian 11
    # Since Ubuntu 23.10 a plain user's namespace can be made, and next to nothing can be done in it.
    if failure.step != "proc" and where.setting(_APPARMOR) == "1" and not where.confined():
        return _Assignment(f"{_APPARMOR}=0", f"AppArmor: {_APPARMOR} is 1")
    return None


def _cause(failure: Failure, where: Surroundings) -> tuple[Cause, str]:
    around = "this container" if where.container() else "what this runs in"
    if failure.step == "user" and where.chrooted():
        return "chroot", "which the kernel refuses in a chroot."
    if failure.step == "user" and where.filtered():
        return "filter", f"and {around} has a filter of system calls that forbids them."
    if failure.step == "proc" and where.masked():
        return "masked-proc", f"and {around} hides parts of /proc, so that it cannot be mounted in one."
    if where.confined():
        return "mount-rules", f"and {around} has an AppArmor profile that forbids mounts in them."
    if failure.number in {errno.EINVAL, errno.ENOSYS}:
        return "kernel", "which this kernel does not have."
    return "unknown", f"and the kernel refuses them here ({failure})."


_OUTSIDE: dict[Cause, str] = {
    "chroot": "Leave the chroot, or enter it as containers do: with pivot_root in a mount namespace.",
    "filter": "Run it outside of that service or sandbox (systemd's RestrictNamespaces= is such a filter).",
    "masked-proc": "Run it outside of that sandbox, or let the sandbox leave /proc as it is.",
    "mount-rules": "Run it unconfined:  aa-exec -p unconfined -- cog-nix …",
    "kernel": "Use a kernel that is built with CONFIG_USER_NS.",
    "unknown": "Run it as another user, or on another machine.",
}


def _start(container: Container, failure: Failure, where: Surroundings) -> str:
    """Return how the container has to be started: one change that is enough."""
    if container == "kubernetes":
        return _POD
    # Docker's filter forbids user namespaces, Podman's does not. Both are named to Docker, for it isn't seen
    # whether the filter was switched off already, and has to stay so.
    filtered = container == "docker" or failure.step == "user"
    wanted = ["seccomp=unconfined"] if filtered else []
    wanted.append("unmask=ALL" if container == "podman" else "systempaths=unconfined")
    wanted += ["apparmor=unconfined"] if where.confined() else []
    options = " ".join(f"--security-opt {one}" for one in wanted)
    return f"Start the container so:  {container} run {options} …"
