"""The values of a specification (CDI SPEC.md, "CDI JSON Specification"), and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class DeviceNode:
    """A device file."""

    path: str
    """In the container."""
    host_path: str
    """On this machine."""
    type: str = ""
    """``b``, ``c``, ``u`` or ``p``; "": as the host's."""
    major: int | None = None
    minor: int | None = None
    file_mode: int | None = None
    """Permission bits; None: as the host's."""
    permissions: str = "rwm"
    """What control groups allow: some of ``r``, ``w``, ``m``; ``none``: nothing."""
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine."""

    host_path: str
    container_path: str
    options: tuple[str, ...] = ()
    type: str = ""
    """File system; "": a bind mount."""

    @property
    def binds(self) -> bool:
        """Whether something of this machine is shown, and not a file system of its own."""
        return self.type in {"", "bind"}

    @property
    def read_only(self) -> bool:
        """Whether the container may not write to it."""
        return "ro" in self.options


@dataclass(frozen=True)
class Hook:
    """A program of this machine that is run while a container starts (OCI runtime-spec, "Hooks")."""

    name: str
    """``createContainer`` and the like: when."""
    path: str
    args: tuple[str, ...] = ()
    """With the program's name."""
    env: tuple[str, ...] = ()
    timeout: int | None = None
    """Seconds."""


@dataclass(frozen=True)
class Placement:
    """What is written into a container's own files before it starts, where no hook does it."""

    links: tuple[tuple[str, str], ...] = ()
    """``(target, path)`` of symbolic links; what is at the path is replaced."""
    folders: tuple[str, ...] = ()
    """Where the linker is to look as well (``/etc/ld.so.conf.d``)."""
    libraries: tuple[tuple[str, str], ...] = ()
    """``(soname, path)``: what the linker's cache is to have; a path is linked to by its soname."""
    modes: tuple[tuple[str, int], ...] = ()
    """``(path, permission bits)``."""

    def __add__(self, other: Placement) -> Placement:
        return Placement(
            self.links + other.links,
            tuple(dict.fromkeys(self.folders + other.folders)),
            tuple(dict.fromkeys(self.libraries + other.libraries)),
            self.modes + other.modes,
        )


@dataclass(frozen=True)
class Edits:
    """What a container needs (``containerEdits``).

    ``intelRdt`` (shares of caches) and ``netDevices`` are left out: GPUs have neither, and the daemonless
    runtime's containers have the machine's own network.
    """

    env: tuple[str, ...] = ()
    """``NAME=value``."""
    device_nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[Mount, ...] = ()
    hooks: tuple[Hook, ...] = ()
    additional_gids: tuple[int, ...] = ()
    placement: Placement = Placement()

    def __add__(self, other: Edits) -> Edits:
        return Edits(
            self.env + other.env,
            _last(self.device_nodes + other.device_nodes),
            tuple({mount.container_path: mount for mount in self.mounts + other.mounts}.values()),
            self.hooks + other.hooks,
            tuple(dict.fromkeys(self.additional_gids + other.additional_gids)),
            self.placement + other.placement,
        )

    @property
    def variables(self) -> dict[str, str]:
        """The environment, by name."""
        return dict(line.partition("=")[::2] for line in self.env)


@dataclass(frozen=True)
class Device:
    """A device that a container can ask for."""

    name: str
    edits: Edits


@dataclass(frozen=True)
class Specification:
    """A file of a specification folder."""

    path: Path
    version: str
    kind: str
    """``vendor.com/class``."""
    devices: tuple[Device, ...]
    edits: Edits
    """What each container with any of the devices needs."""

    def qualified(self, device: Device) -> str:
        """Return the name that a device is asked for by: ``vendor.com/class=name``."""
        return f"{self.kind}={device.name}"


def _last(nodes: Iterable[DeviceNode]) -> tuple[DeviceNode, ...]:
    return tuple({node.path: node for node in nodes}.values())
