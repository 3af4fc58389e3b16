"""GPUs through Docker's API: NVIDIA's device driver, devices by their CDI names, or files one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from docker.types import DeviceRequest

from cog_nix.cdi import registry
from cog_nix.cdi.failures import MissingDeviceDriverError
from cog_nix.cdi.find import described, find_devices
from cog_nix.cdi.gpus import KIND, GpuRequest
from cog_nix.cdi.machine import Machine
from cog_nix.cdi.model import Edits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix_hooks.docker.endpoint import Endpoint


@dataclass(frozen=True)
class Devices:
    """What a container is created with."""

    requests: tuple[DeviceRequest, ...] = ()
    """For the daemon to answer."""
    edits: Edits = field(default_factory=Edits)
    """What we know ourselves. It has no hooks: this API takes none."""
    labels: bool = True
    """Whether SELinux's labels keep the container from device files; Podman's do, where SELinux is on."""

    @property
    def host_config(self) -> dict[str, Any]:
        """Arguments of the SDK's ``create_host_config``, but for the binds."""
        nodes = [
            {
                "PathOnHost": node.host_path,
                "PathInContainer": node.path,
                "CgroupPermissions": "" if node.permissions == "none" else node.permissions,
            }
            for node in self.edits.device_nodes
        ]
        return {
            "device_requests": list(self.requests) or None,
            "devices": nodes or None,
            "security_opt": None if self.labels else ["label=disable"],
            "group_add": [str(gid) for gid in self.edits.additional_gids] or None,
        }

    @property
    def binds(self) -> list[str]:
        """Mounts, as ``docker run --volume`` takes them."""
        return [
            f"{mount.host_path}:{mount.container_path}{':ro' if mount.read_only else ''}"
            for mount in self.edits.mounts
            if mount.binds
        ]


def gpu_request(gpus: str) -> DeviceRequest:
    """Return what ``docker run --gpus`` makes of its value: a request to NVIDIA's device driver.

    Args:
        gpus: ``all``, a number of GPUs, or ``device=0,1``.

    Raises:
        RuntimeFailure: it is none of these.
    """
    request = GpuRequest.parse(gpus)
    wanted: dict[str, Any] = {"device_ids": list(request.ids)} if request.ids else {"count": request.count}
    return DeviceRequest(driver="nvidia", capabilities=[["gpu"]], **wanted)


def by_name(names: Sequence[str], *, labels: bool = True) -> Devices:
    """Return a request for devices by their qualified names (Docker since 25, Podman since 5.5)."""
    request = DeviceRequest(driver="cdi", device_ids=list(names), capabilities=[["cdi"]])
    return Devices((request,), labels=labels)


def known_to_docker(gpus: str, info: Mapping[str, Any]) -> list[str]:
    """Return the names under which a Docker daemon may know the GPUs that are asked for; none: it knows none.

    Args:
        gpus: as ``docker run --gpus`` takes it.
        info: the daemon's answer to ``GET /info``: ``CDISpecDirs`` since version 25, where CDI is switched
            on, and ``DiscoveredDevices`` since 28.2.
    """
    discovered = info.get("DiscoveredDevices")
    if not info.get("CDISpecDirs") and not discovered:
        return []
    prefix = f"{KIND}="
    known = [
        str(one.get("ID")).removeprefix(prefix) for one in discovered or () if prefix in str(one.get("ID"))
    ]
    if discovered is not None and not known:
        return []
    return GpuRequest.parse(gpus).qualified(known)


def for_podman(gpus: str, version: str, endpoint: Endpoint, *, takes_names: bool) -> Devices:
    """Return what a container of Podman's gets of the GPUs that are asked for.

    Raises:
        MissingDeviceDriverError: there is no driver, or Podman is elsewhere and too old to look there.
    """
    request = GpuRequest.parse(gpus)
    if endpoint.socket_path is None:
        if takes_names:
            return by_name(request.qualified(), labels=False)
        raise MissingDeviceDriverError(
            f"Podman {version} at {endpoint.host} cannot give GPUs through its API.",
            hint="Update it to 5.5 or newer, or run cog-nix there.",
        )
    if takes_names and (names := described(request, registry.Registry.read(registry.FOLDERS), Machine())):
        return by_name(names, labels=False)
    return Devices(edits=find_devices(gpus, runs_hooks=False), labels=False)
