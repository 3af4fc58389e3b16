"""A container that may make namespaces, with this machine's folders where they are.

Docker forbids namespaces by its seccomp filter and by what it hides below /proc: a masked /proc cannot be
mounted anew in a user namespace (mount_namespaces(7), "mount point visibility"). Both are lifted here, and
AppArmor's profile, which forbids mounting. A plain user gets no capability; root gets the one to mount, by
which builds are another user's than root's.
"""

from __future__ import annotations

import os
import re
import resource
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.types import Mount

from cog_nix.container.worker import WorkerError
from cog_nix.errors import RuntimeFailure
from cog_nix_hooks.docker import owner
from cog_nix_hooks.docker.failures import Cause, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.plugins.spec import WorkerRequest

LABEL = "run.cog.nix.worker"
"""``docker ps -a --filter label=run.cog.nix.worker`` shows what runs."""
_RESTRICTION = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_PROFILES = ("podman", "unconfined")
"""AppArmor's. Where Ubuntu keeps user namespaces from programs without a profile, this is one of those that
it ships for programs that need them (Ubuntu 24.04, ``/etc/apparmor.d/podman``)."""
_MOUNTS = Path("/proc/self/mountinfo")
_OWN_ID = re.compile(r"/containers/(?:overlay-containers/)?([0-9a-f]{64})/")
"""In the places that a container's /etc/hostname and its like are mounted from (proc(5), mountinfo)."""
_ENOUGH = 16384
"""Open files, and processes, that no build needs."""
_ELSEWHERE = """\
Docker mounts folders of the machine that its daemon runs on. Where that is another machine, run cog-nix in
its own image there; where cog-nix runs in a container, give it these folders as volumes
(docs/how-to/containers.md)."""


class DockerWorker:
    """A worker's container."""

    def __init__(self, client: docker.APIClient, name: str) -> None:
        self._client, self.name = client, name

    def ended(self) -> str | None:
        """Return what it wrote when it has ended, None while it runs."""
        try:
            if self._client.inspect_container(self.name)["State"]["Running"]:
                return None
            text: bytes = self._client.logs(self.name)
        except docker.errors.APIError:
            return "it is gone"
        return text.decode("utf-8", "replace").strip() or "it wrote nothing"

    def remove(self) -> None:
        """End and remove it, whatever state it is in."""
        with suppress(docker.errors.APIError):
            self._client.remove_container(self.name, force=True)


def start_worker(
    client: docker.APIClient, request: WorkerRequest, info: dict[str, Any], *, podman: bool = False
) -> DockerWorker:
    """Create and start it; the daemon removes it when it ends.

    Raises:
        RuntimeFailure: it cannot be started.
    """
    owner.remove_abandoned(client)
    options = " ".join(map(str, info.get("SecurityOptions") or ()))
    host = _host_config(client, options, podman=podman)
    host["Mounts"] = _mounts(client, request.folders)
    rootless = "rootless" in options
    if os.geteuid() == 0 and not rootless:
        host["CapAdd"] = ["SYS_ADMIN"]
    # The root of a rootless Docker is this user.
    root = rootless and not podman
    profiles = _profiles(options)
    for profile in profiles:
        named = {**host, "SecurityOpt": [*host["SecurityOpt"], *profile]}
        worker = DockerWorker(client, f"cog-nix-worker-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            client.create_container(
                request.image,
                command=list(request.command),
                environment=dict(request.environment),
                host_config=named,
                labels={LABEL: str(os.getpid()), **owner.labels()},
                name=worker.name,
                user="0:0" if root else f"{os.geteuid()}:{os.getegid()}",
                working_dir="/",
            )
            client.start(worker.name)
        except docker.errors.DockerException as error:
            worker.remove()
            refusal = Refusal.read(error)
            if profile is profiles[-1] or refusal.cause is not Cause.NO_PROFILE:
                raise _failure(refusal) from error
        except BaseException:
            worker.remove()
            raise
        else:
            return worker
    raise AssertionError  # the last profile either starts or raises


def _profiles(options: str) -> list[list[str]]:
    """Return the security options that name AppArmor's profile, to be tried in this order."""
    if "apparmor" not in options:
        return [[]]
    restricted = False
    with suppress(OSError):
        restricted = _RESTRICTION.read_text(encoding="ascii").strip() == "1"
    return [[f"apparmor={one}"] for one in (_PROFILES if restricted else _PROFILES[-1:])]


def _host_config(client: docker.APIClient, options: str, *, podman: bool) -> dict[str, Any]:
    security = ["seccomp=unconfined", *(["unmask=ALL"] if podman else [])]
    security += ["label=disable"] if podman or "selinux" in options else []
    host: dict[str, Any] = client.create_host_config(
        auto_remove=True, network_mode="host", security_opt=security
    )
    if not podman:
        return {**host, "MaskedPaths": [], "ReadonlyPaths": []}
    # Podman asks for more open files and processes than it may give, unless it is told.
    limits = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    allowed = {name: resource.getrlimit(number)[1] for name, number in limits.items()}
    host["Ulimits"] = [
        {"Name": name, "Soft": limit, "Hard": limit}
        for name, hard in allowed.items()
        for limit in [_ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)]
    ]
    return {**host, "UsernsMode": "keep-id"} if "rootless" in options else host


def _mounts(client: docker.APIClient, folders: Sequence[Path]) -> list[Mount]:
    """Return what shows these folders, each where it is here.

    Raises:
        RuntimeFailure: this is a container itself, and the daemon cannot reach some of them.
    """
    own = _own_container(client)
    sources = {folder: _source(own, folder) if own else folder for folder in folders}
    if unreachable := sorted(str(folder) for folder, source in sources.items() if source is None):
        raise RuntimeFailure(
            "This is a container, and these folders of it cannot be shown to another one: "
            f"{', '.join(unreachable)}",
            hint="Start this container with volumes at them (docs/how-to/containers.md).",
        )
    return [Mount(str(folder), str(source), type="bind") for folder, source in sources.items()]


def _own_container(client: docker.APIClient) -> dict[str, Any] | None:
    """Return the daemon's description of the container that this process is in, if it is in one of its."""
    for name in dict.fromkeys(_own_ids()):
        with suppress(docker.errors.APIError):
            found: dict[str, Any] = client.inspect_container(name)
            return found
    return None


def _own_ids() -> Iterator[str]:
    with suppress(OSError):
        for line in _MOUNTS.read_text(encoding="utf-8").splitlines():
            _, _, _, root, point, *_ = line.split(" ")
            if point in {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"} and (
                found := _OWN_ID.search(root)
            ):
                yield found[1]


def _source(own: dict[str, Any], folder: Path) -> Path | None:
    """Return where a folder of this container is for the daemon: in a volume, or in its own file system."""
    mounts = {Path(one["Destination"]): Path(one["Source"]) for one in own.get("Mounts") or ()}
    for point in (folder, *folder.parents):
        if point in mounts:
            return mounts[point] / folder.relative_to(point)
    merged = ((own.get("GraphDriver") or {}).get("Data") or {}).get("MergedDir")
    return Path(merged, folder.relative_to("/")) if merged else None


def _failure(refusal: Refusal) -> RuntimeFailure:
    if refusal.cause is Cause.NO_FOLDER:
        return RuntimeFailure(f"Docker's machine has no folder {refusal.folder}.", hint=_ELSEWHERE)
    return WorkerError(f"does not start: {refusal.said}")
