"""What ``cog-nix doctor`` finds out about Docker: the daemon, how it stores images, its room, its GPUs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.cdi.gpus import ALL, KIND
from cog_nix.cdi.registry import Registry
from cog_nix.errors import RuntimeFailure
from cog_nix.plugins.spec import Finding
from cog_nix.system.jsonvalue import mapping_of
from cog_nix.system.platforms import BUILDER, parse_platform
from cog_nix_hooks.docker.endpoint import find_endpoint
from cog_nix_hooks.docker.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

SKIP = "COG_SKIP_DOCKER_CHECK"
SKIP_GPU = "COG_SKIP_GPU_CHECK"
_CONTAINERD = ["driver-type", "io.containerd.snapshotter.v1"]
_GPU = "GPU compatibility"
_ROOM = 10 * 10**9


def diagnose() -> Iterator[Finding]:
    """Ask the daemon what it is."""
    if os.environ.get(SKIP):
        return
    try:
        info = mapping_of(Engine(find_endpoint()).get("/info"))
    except TypeError as error:
        yield Finding("Docker", "warning", f"What answers for Docker is something else: {error}", "")
        return
    except RuntimeFailure as error:
        yield Finding("Docker", "warning", f"{error.message} Images can be built, not run.", error.hint)
        return
    yield from describe(info, has_driver=Path("/proc/driver/nvidia/version").exists())


def describe(info: dict[str, Any], *, has_driver: bool) -> Iterator[Finding]:
    """Turn the daemon's answer to ``GET /info`` into findings."""
    containerd = _CONTAINERD in (info.get("DriverStatus") or [])
    store = "containerd's image store" if containerd else info.get("Driver")
    yield Finding("Docker", "ok", f"Docker {info.get('ServerVersion')}, {store}")
    if parse_platform(str(info.get("Architecture"))) != BUILDER:
        said = f"Docker runs on {info.get('Architecture')}; images for {BUILDER} need an emulator there"
        yield Finding("Docker", "warning", said, "")
    root = Path(info.get("DockerRootDir") or "/")
    if root.exists() and (free := shutil.disk_usage(root).free) < _ROOM:
        yield Finding(
            "Disk", "warning", f"only {free / 10**9:.1f} GB free for Docker ({root})", "docker image prune"
        )
    if os.environ.get(SKIP_GPU):
        return
    runtimes = info.get("Runtimes") or {}
    if has_driver and "nvidia" not in runtimes and _by_name(info):
        yield Finding(_GPU, "ok", "Docker can use NVIDIA's GPUs by their CDI names")
    elif has_driver and "nvidia" not in runtimes:
        yield Finding(
            _GPU,
            "warning",
            "This machine has an NVIDIA driver, and Docker cannot use it.",
            "Install the NVIDIA Container Toolkit, then:  "
            "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker",
        )
    else:
        yield Finding(_GPU, "ok", "Docker can use NVIDIA's GPUs" if has_driver else "no NVIDIA driver here")


def _by_name(info: dict[str, Any]) -> bool:
    """Whether the daemon knows specifications of GPUs; before version 28.2 only its folders tell."""
    from cog_nix_hooks.docker.devices import known_to_docker  # noqa: PLC0415 - imports the SDK

    if not known_to_docker(ALL, info):
        return False
    specified = Registry.read([Path(folder) for folder in info.get("CDISpecDirs") or ()])
    return bool(info.get("DiscoveredDevices")) or specified.knows(KIND)
