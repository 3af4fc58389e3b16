"""What foreign code is kept from, though it is root of its own file system: the machine around the build.

:mod:`namespace` gives a program namespaces, and its user may still be the machine's root (Nix as root without
build users): what belongs to root in /proc is then the program's own. So /proc is as Docker has it (read-only
and masked paths), devices are the harmless ones, capabilities are few, processes are limited. All of that is
mounted before one more user namespace is entered, so nobody inside can take it away (mount_namespaces(7)).
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import tempfile
from pathlib import Path

from failure import BuildError

_libc = ctypes.CDLL(None, use_errno=True)

# sys/mount.h
_READ_ONLY, _NO_SUID, _NO_DEV, _NO_EXEC, _REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
_CLOSED = _NO_SUID | _NO_DEV | _NO_EXEC
_KEPT = {"nosuid": _NO_SUID, "nodev": _NO_DEV, "noexec": _NO_EXEC, "noatime": 1024, "nodiratime": 2048}
_KEPT |= {"relatime": 1 << 21}
"""Flags of a mount that only its owner may take away (mount_namespaces(7)), as mountinfo spells them."""
_DETACH = 2
_NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000  # linux/sched.h; os.unshare came with Python 3.12
_CAPABILITY_VERSION = 0x20080522
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 4, 24

_MASKED = frozenset(
    {"acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list"}
    | {"timer_stats", "kmsg", "kpagecgroup", "kpagecount", "kpageflags"}
)
"""Docker's, and what tells of the machine's memory."""
_READ = frozenset({"bus", "fs", "irq", "pressure", "sys", "sysrq-trigger"})
"""Docker's, and what everybody may write to. So is all else where this user, the machine's root, owns it."""
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 18, 31)
"""CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, SYS_CHROOT and SETFCAP
(linux/capability.h): those of Docker's that say anything in a namespace without a network of its own."""
_SETFCAP, _LAST_CAPABILITY = 31, 63
"""Who is called root has to hold the first to call anybody root in a namespace below."""
PROCESSES = max(4096, 128 * (os.cpu_count() or 1))
"""And threads. Builds take a few for each processor."""
_OWN_PID_MAX, _OWN_LIMIT = (6, 14), (5, 14)
"""The first Linux whose pid_max belongs to a pid namespace, and whose RLIMIT_NPROC to a user namespace."""
_STORE = "/nix/store"


class NamespaceError(BuildError):
    """The kernel does not let this build make a namespace, or close one off."""


def check(result: int, what: str) -> None:
    """See how a call of the C library ended.

    Raises:
        NamespaceError: it failed.
    """
    if result != 0:
        code = ctypes.get_errno()
        raise NamespaceError(f"{what}: {os.strerror(code)}")


def mount(source: str, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a file system (mount(2)).

    Raises:
        NamespaceError: the kernel refuses.
    """
    encoded = kind.encode() if kind else None
    options = data.encode() if data else None
    done = _libc.mount(os.fsencode(source), os.fsencode(target), encoded, ctypes.c_ulong(flags), options)
    check(done, f"mount {source} on {target}")


def enter(flags: int, user: int, own: Path = Path("/proc/self")) -> None:
    """Enter a new user namespace and others with it (user_namespaces(7)).

    Args:
        flags: CLONE_NEW… of the others.
        user: what this process' user and group are called there.
        own: this process' folder in /proc.

    Raises:
        NamespaceError: the kernel refuses.
    """
    uid, gid = os.geteuid(), os.getegid()
    check(_libc.unshare(_NEW_USER | flags), "user namespaces are not available to this build")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{user} {uid} 1")
    (own / "gid_map").write_text(f"{user} {gid} 1")


def shelter() -> None:
    """Close off from this process itself what links that foreign code leaves could lead it to.

    A builder works on with what a script made of a file system. Where it is the owner of the machine's
    settings or of its inputs in the store, it sees them read-only from here on. To be called before there are
    threads.

    Raises:
        NamespaceError: the kernel refuses.
    """
    enter(NEW_MOUNTS, os.geteuid())
    mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    _hide_whole_proc()
    _close_proc(Path("/proc"))
    outputs = {os.environ.get(name) for name in os.environ.get("outputs", "out").split()}  # noqa: SIM112 - Nix's spelling
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        _, _, _, _, target, options, *_ = line.split()
        if target.startswith(f"{_STORE}/") and target not in outputs:
            kept = sum(_KEPT.get(option, 0) for option in options.split(","))
            mount("none", Path(target), None, _REMOUNT | MS_BIND | _READ_ONLY | kept)
    _set_capabilities((_SETFCAP,))


def _hide_whole_proc() -> None:
    """Keep a /proc that nothing is mounted on where no path leads to.

    The kernel lets a namespace mount /proc only where one is in sight that shows as much.
    """
    cover = Path(tempfile.mkdtemp(prefix="cog-nix-proc-"))
    mount("tmpfs", cover, "tmpfs", _CLOSED)
    (cover / "proc").mkdir()
    mount("/proc", cover / "proc", None, MS_BIND | MS_REC)
    mount("tmpfs", cover, "tmpfs", _CLOSED | _READ_ONLY)


def devices(dev: Path) -> None:
    """Mount a /dev: what Nix' builds have, and nothing that a machine adds to it (/dev/kvm)."""
    mount("tmpfs", dev, "tmpfs", _NO_SUID | _NO_EXEC, "mode=755")
    for name in _DEVICES:
        (dev / name).touch()
        mount(f"/dev/{name}", dev / name, None, MS_BIND)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    mount("devpts", dev / "pts", "devpts", _NO_SUID | _NO_EXEC, "newinstance,ptmxmode=0666,mode=620")
    mount("tmpfs", dev / "shm", "tmpfs", _NO_SUID | _NO_DEV, "mode=1777,size=50%")


def enclose(root: Path) -> None:
    """Move this process, the first of its pid namespace, into ``root`` for good, with few rights.

    Raises:
        NamespaceError: the kernel refuses.
    """
    proc = root / "proc"
    proc.mkdir(exist_ok=True)
    mount("proc", proc, "proc", _CLOSED)
    _limit(proc)
    _close_proc(proc)
    enter(NEW_MOUNTS, 0, proc / "self")
    mount(str(root), root, None, MS_BIND | MS_REC)
    os.chdir(root)
    # The old root comes to lie over the new one, and is taken off (pivot_root(2), "pivot_root(".", ".")").
    check(_libc.pivot_root(b".", b"."), "pivot_root")
    check(_libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")
    for capability in range(_LAST_CAPABILITY):
        if capability not in _CAPABILITIES and _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            break  # this kernel knows no more
    _set_capabilities(_CAPABILITIES)
    # A process whose credentials changed may not be traced until it says so (prctl(2)).
    check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")


def _close_proc(proc: Path) -> None:
    """Make a /proc read-only or empty, except for what it tells of processes."""
    for entry in list(os.scandir(proc)):
        path = proc / entry.name
        if entry.name.isdigit() or entry.is_symlink():
            continue
        if entry.name in _MASKED and entry.is_dir():
            mount("tmpfs", path, "tmpfs", _READ_ONLY | _CLOSED)
        elif entry.name in _MASKED:
            mount("/dev/null", path, None, MS_BIND)
        elif entry.name in _READ or entry.stat().st_uid == os.geteuid():
            mount(str(path), path, None, MS_BIND | MS_REC)
            mount("none", path, None, _REMOUNT | MS_BIND | _READ_ONLY | _CLOSED)


def kernel_counts_processes() -> bool:
    """Return whether the kernel keeps to :data:`PROCESSES` for every user, root as well."""
    return _linux() >= _OWN_PID_MAX


def _linux() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])


def _limit(proc: Path) -> None:
    """Limit how many processes there may be, as far as this kernel can for this user; no core is written."""
    if kernel_counts_processes():
        (proc / "sys/kernel/pid_max").write_text(str(PROCESSES))
    if _linux() >= _OWN_LIMIT:
        _, most = resource.getrlimit(resource.RLIMIT_NPROC)
        limit = PROCESSES if most == resource.RLIM_INFINITY else min(most, PROCESSES)
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _set_capabilities(kept: tuple[int, ...]) -> None:
    """Keep these capabilities, and lose all others (capset(2))."""
    mask = sum(1 << one for one in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    data = struct.pack("=6I", low, low, 0, high, high, 0)
    check(_libc.capset(header, data), "capset")
