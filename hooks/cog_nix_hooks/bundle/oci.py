"""The ``config.json`` of an OCI bundle (runtime-spec 1.0.2), as Docker would write it but for the network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.runtime.container import SHARED_MEMORY
from cog_nix_hooks.bundle import cgroups, sysfs
from cog_nix_hooks.bundle.seccomp import oci_section

if TYPE_CHECKING:
    from cog_nix_hooks.bundle.process import Process

_CAPABILITIES = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "SYS_CHROOT": 18,
    "AUDIT_WRITE": 29,
    "SETFCAP": 31,
}
"""By number (linux/capability.h): Docker's default set without ``MKNOD``, for not every engine has a device
cgroup here, and without ``NET_RAW``, for the network that packets would be read from is the machine's."""
CAPABILITIES = [f"CAP_{name}" for name in _CAPABILITIES]
CAPABILITY_MASK = sum(1 << number for number in _CAPABILITIES.values())
"""As the kernel takes them (capabilities(7))."""

MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"),
    *("/sys/devices/virtual/powercap", "/sys/firmware"),
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""What Docker hides and protects, below /proc and /sys."""

_CGROUP_NAMESPACE = Path("/proc/self/ns/cgroup")


def bundle_config(process: Process, name: str, folder: Path) -> dict[str, Any]:
    """Return the configuration of a container that shares the host's network and nothing else."""
    namespaces = ["pid", "ipc", "uts", "mount", *(["cgroup"] if _CGROUP_NAMESPACE.exists() else [])]
    namespaces += ["user"] if process.mapped else []
    granted = CAPABILITIES if process.user.uid == 0 else []
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": process.tty,
            **_console(process),
            "user": {"uid": process.user.uid, "gid": process.user.gid},
            "args": list(process.args),
            "env": [f"{key}={value}" for key, value in process.env.items()],
            "cwd": process.cwd,
            "capabilities": {"bounding": CAPABILITIES, "effective": granted, "permitted": granted},
        },
        "root": {"path": "rootfs", "readonly": process.sealed},
        "hostname": name,
        "mounts": [
            *_MOUNTS,
            *([_mount("/tmp", "tmpfs", "nosuid", "nodev", "mode=1777")] if process.sealed else []),  # noqa: S108 - as below
            *(_bind(source, target, *sysfs.FLAGS.split(",")) for source, target in kernel_binds(folder)),
            *(_bind(source, target) for source, target in binds(process, folder)),
            *(_bind(source, target, "ro") for source, target in process.read_only),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in namespaces],
            **_mapping(process),
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY),
            "seccomp": oci_section(),
        },
    }


def _mapping(process: Process) -> dict[str, Any]:
    """Return how a plain user is the image's user: in a namespace below that in which he is root."""
    if not process.mapped:
        return {}
    numbers = (("uidMappings", process.user.uid), ("gidMappings", process.user.gid))
    return {name: [{"containerID": number, "hostID": 0, "size": 1}] for name, number in numbers}


def _console(process: Process) -> dict[str, Any]:
    """Return the size that the engine gives to a terminal before the program can look at it."""
    if not (process.tty and process.size):
        return {}
    rows, columns = process.size
    return {"consoleSize": {"height": rows, "width": columns}}


def kernel_binds(folder: Path) -> list[tuple[Path, str]]:
    """Return what of the kernel is seen in the container, to read: ``(host path, container path)``."""
    return [(folder / sysfs.SYS, "/sys"), (folder / sysfs.CGROUPS, str(cgroups.ROOT))]


def binds(process: Process, folder: Path) -> list[tuple[Path, str]]:
    """Return what of the host is seen in the container: ``(host path, container path)``."""
    resolver = Path("/etc/resolv.conf")
    found = [(folder / "hosts", "/etc/hosts")]
    if resolver.exists():
        found.append((resolver.resolve(), str(resolver)))
    return [*found, *process.mounts]


def _mount(target: str, kind: str, *options: str) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": kind, "options": list(options)}


def _bind(source: Path, target: str, *options: str) -> dict[str, Any]:
    given = ["rbind", "rprivate", *options]
    return {"destination": target, "type": "bind", "source": str(source), "options": given}


_MOUNTS = (
    _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
    _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    _mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
    _mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", f"size={SHARED_MEMORY}"),  # noqa: S108 - in the container
    _mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
)
