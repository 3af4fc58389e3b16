"""What can be seen of what rules over this process: settings, filters, profiles, the container around it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Container = Literal["docker", "podman", "kubernetes"]

_ALWAYS_MOUNTED = "/proc/sys/fs/binfmt_misc"
"""A mount there hides nothing (``proc_create_mount_point`` in the kernel), so it forbids nothing."""


@dataclass(frozen=True)
class Surroundings:
    """A machine, as far as it can keep namespaces from a process."""

    root: Path = Path("/")
    """Where ``proc`` and ``run`` are."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    user: int = field(default_factory=os.geteuid)

    def setting(self, name: str) -> str:
        """Return a setting of the kernel (sysctl(8)); empty: this kernel doesn't have it."""
        return self._read(f"proc/sys/{name.replace('.', '/')}").strip()

    def filtered(self) -> bool:
        """Whether a filter of system calls is on (proc(5), ``Seccomp``)."""
        return "\nSeccomp:\t2" in self._read("proc/self/status")

    def confined(self) -> bool:
        """Whether a profile of AppArmor's rules over this process."""
        profile = self._read("proc/self/attr/apparmor/current") or self._read("proc/self/attr/current")
        return profile.rstrip().endswith("(enforce)")

    def masked(self) -> bool:
        """Whether parts of /proc are mounted over, which keeps it from being mounted anew."""
        return any(path.startswith("/proc/") and path != _ALWAYS_MOUNTED for path in self._mounted())

    def chrooted(self) -> bool:
        """Whether nothing is mounted on this process's root, so that it is no mount namespace's root."""
        mounted = list(self._mounted())
        return bool(mounted) and "/" not in mounted

    def container(self) -> Container | None:
        """Return what runs the container that this is, where that can be told.

        The files are left in images that became virtual machines, so there has to be some confinement too.
        """
        if not (self.filtered() or self.masked() or self.confined()):
            return None
        if "KUBERNETES_SERVICE_HOST" in self.environment:
            return "kubernetes"
        if (self.root / "run/.containerenv").exists():
            return "podman"
        return "docker" if (self.root / ".dockerenv").exists() else None

    def _mounted(self) -> Iterator[str]:
        """Yield what is mounted on (proc(5), ``mountinfo``, the fifth field)."""
        for line in self._read("proc/self/mountinfo").splitlines():
            yield from line.split()[4:5]

    def _read(self, path: str) -> str:
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
