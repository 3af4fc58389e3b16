"""What a container sees below ``/sys``: the machine's devices, to read, and its own cgroups, to read.

Neither a bind mount's read-only flag nor a non-recursive one reaches the mounts below ``/sys``: the cgroup
hierarchies, in which a writer leaves its device cgroup or names a program that the kernel runs
(``release_agent``), debugfs, tracefs, bpf. So root mounts a sysfs anew, which has none of them. Where that is
not allowed (the network is another user namespace's), ``/sys`` is bound with all that is below it, and that
is covered or made read-only. All of it happens in the mount namespace that the root file system is joined in,
for every engine alike.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from cog_nix_hooks.bundle import cgroups, fstab

SYS = "sys"
CGROUPS = "cgroup"
"""Folders of a container's, which :data:`SCRIPT` makes mounts of; engines bind them."""
FLAGS = "nosuid,noexec,nodev,ro"
SCRIPT = f"""\
"$mount" -t sysfs -o {FLAGS} sysfs {SYS} 2>/dev/null || {{
  "$mount" --rbind -o {FLAGS} /sys {SYS} || exit 1
  [ ! -s {SYS}.fstab ] || "$mount" --all --fstab {SYS}.fstab || exit 1
}}
[ ! -s {CGROUPS}.fstab ] || "$mount" --all --fstab {CGROUPS}.fstab 2>/dev/null || :
"""
"""For a shell in the container's folder; ``$mount`` is mount(8). Without cgroups a container can live."""
_COVERED = ("fs", "kernel", "firmware")
"""Below these are interfaces to the kernel; mounts elsewhere (lxcfs) say what the machine is made of."""
_MOUNTS = Path("/proc/self/mountinfo")


def prepare(folder: Path) -> None:
    """Write into a container's folder what :data:`SCRIPT` reads."""
    (folder / SYS).mkdir()
    (folder / CGROUPS).mkdir()
    lines = [_line("tmpfs", folder / SYS / point, "tmpfs", "size=4k,mode=755") for point in _to_cover()]
    lines += [_line(folder / SYS / point, folder / SYS / point, "none", "bind") for point in _to_keep()]
    fstab.write(folder / f"{SYS}.fstab", lines)
    lines = []
    for one in cgroups.own():
        (folder / CGROUPS / one.name).mkdir(parents=True, exist_ok=True)
        lines.append(_line(one.folder, folder / CGROUPS / one.name, "none", "bind"))
    _link(folder / CGROUPS)
    fstab.write(folder / f"{CGROUPS}.fstab", lines)


def _link(folder: Path) -> None:
    """Make the links that systemd makes: ``cpu`` is ``cpu,cpuacct``."""
    with suppress(OSError):
        for path in cgroups.ROOT.iterdir():
            if path.is_symlink() and (folder / path.readlink()).is_dir():
                (folder / path.name).symlink_to(path.readlink())


def _to_cover() -> list[str]:
    """Return folders below ``/sys`` that other file systems are mounted on, the outermost of each."""
    found = [point for point in _points() if point.split("/")[0] in _COVERED]
    return [one for one in found if Path("/sys", one).is_dir() and not _is_below(one, found)]


def _to_keep() -> list[str]:
    return [point for point in _points() if point.split("/")[0] not in _COVERED]


def _points() -> list[str]:
    """Return what is mounted below ``/sys``, relative to it, each once, the outer ones first."""
    lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    points = {cgroups.unescaped(line.split(" ")[4]) for line in lines}
    return sorted(point.removeprefix("/sys/") for point in points if point.startswith("/sys/"))


def _is_below(point: str, others: list[str]) -> bool:
    return any(point.startswith(f"{other}/") for other in others)


def _line(source: str | Path, target: Path, kind: str, options: str) -> str:
    return fstab.line(source, target, kind, f"{options},{FLAGS}")
