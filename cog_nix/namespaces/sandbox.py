"""A sandbox like Nix's, for what Nix cannot run: commands that get secrets, builds before there is a lock.

A program of its own, because it gives up what the builder must not have, and because namespaces are entered
before there are threads. It needs the standard library only::

    python -I sandbox.py '{"shown": {…}, "folder": …, "command": […], "environment": {…}, "network": true}'

What the command sees is what it is shown, read-only, two folders of its own at ``/build`` and ``/out``,
devices that harm nobody, its own processes, and the machine's network where it may. Its environment is what
it is given, its standard input is ours. It is a user without capabilities; as for the user on the machine's
side see :func:`builders_user`.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

FAILED = 125
"""Exit status when the sandbox cannot be made; no builder ends with it."""

_BUILDER = 0x34800000
"""Behind the user ids that Nix takes for its builders, whose processes it ends (nix.conf(5), start-id)."""
_CHANGING_USER = 1 << 0 | 1 << 6 | 1 << 7  # CAP_CHOWN, CAP_SETGID, CAP_SETUID (linux/capability.h)
_INSIDE = 1000
_NO_NAMESPACES = "user namespaces are not available to this build"
_FROM_MACHINE = ("hosts", "resolv.conf")
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}

_libc = ctypes.CDLL(None, use_errno=True)
# linux/sched.h; os.unshare came with Python 3.12.
_NEW_USER, _NEW_MOUNTS, _NEW_OTHERS = 0x10000000, 0x00020000, 0x20000000 | 0x08000000 | 0x04000000
_NEW_NETWORK = 0x40000000
# sys/mount.h
_READ_ONLY, _NO_SUID, _NO_DEV = 1, 2, 4
_REMOUNT, _BIND, _REC, _PRIVATE = 32, 4096, 16384, 1 << 18
_KEPT = {
    os.ST_NOSUID: _NO_SUID,
    os.ST_NODEV: _NO_DEV,
    os.ST_NOEXEC: 8,
    os.ST_NOATIME: 1024,
    os.ST_NODIRATIME: 2048,
    os.ST_RELATIME: 1 << 21,
}
"""Flags of a mount that only its owner may take away (mount_namespaces(7)), and what mount(2) calls them."""
_DETACH = 2
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
"""On every processor (asm-generic/unistd.h)."""
_SCOPES = 1 | 2
"""LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET and LANDLOCK_SCOPE_SIGNAL (linux/landlock.h)."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_ADDR_NO_RANDOMIZE = 0x0040000  # personality(2); Nix's builders have it too


class SandboxError(Exception):
    """The kernel does not allow it."""


@dataclass(frozen=True)
class Told:
    """What to run, and what to show it."""

    shown: dict[str, str]
    """Files and folders of the machine, by path inside. A link is shown as one."""
    folder: str
    """It has the folders ``build`` and ``out``, and an empty one named ``root`` to mount on."""
    command: list[str]
    environment: dict[str, str]
    network: bool


def _check(result: int, what: str) -> int:
    if result < 0:
        raise SandboxError(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def _mount(source: str, target: Path, kind: str | None, flags: int = 0, data: str = "") -> None:
    encoded = kind.encode() if kind else None
    done = _libc.mount(
        os.fsencode(source), os.fsencode(target), encoded, ctypes.c_ulong(flags), data.encode()
    )
    _check(done, f"mount namespace: mounting {kind or source} on {target}")


def builders_user() -> int | None:
    """Return the user that builders may become, where this one is the machine's root; None: stay who we are.

    A builder whose user id is root's may write to what root owns and namespaces leave in sight, as /proc/sys.
    """
    if os.geteuid() or capabilities() & _CHANGING_USER != _CHANGING_USER:
        return None
    for name in ("uid_map", "gid_map"):
        lines = [line.split() for line in Path("/proc/self", name).read_text().splitlines()]
        if not any(int(first) <= _BUILDER < int(first) + int(count) for first, _, count in lines):
            return None  # root of a container that is a plain user outside
    return _BUILDER


def capabilities() -> int:
    """Return what this process may do (capabilities(7)), a bit for each capability."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # Who was root before may not look into /proc/self, nor have an end that its parent decides (prctl(2)).
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _isolate(user: int | None, *, network: bool) -> bool:
    """Enter new namespaces; return whether that made a plain user's namespace (user_namespaces(7))."""
    others = _NEW_MOUNTS | _NEW_OTHERS | (0 if network else _NEW_NETWORK)
    if user is not None:
        if not _libc.unshare(others):
            return False
        _become(user)  # root who may not mount, as in a container
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(_NEW_USER | others), _NO_NAMESPACES)
    mapping = {"setgroups": "deny", "uid_map": f"{_INSIDE} {uid} 1", "gid_map": f"{_INSIDE} {gid} 1"}
    try:
        for name, text in mapping.items():
            Path("/proc/self", name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SandboxError(f"{_NO_NAMESPACES}: {name}: {error.strerror}") from error
    return True


def _show(source: Path, target: Path, *, writable: bool = False) -> None:
    """Show a folder or file of the machine below the new root."""
    if source.is_symlink() and not writable:
        target.symlink_to(source.readlink())
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    _mount(str(source), target, None, _BIND | _REC)
    if not writable:
        known = os.statvfs(target).f_flag
        kept = sum(flag for name, flag in _KEPT.items() if known & name)
        flags = _REMOUNT | _BIND | _READ_ONLY | kept | _NO_SUID | _NO_DEV
        _mount("none", target, None, flags)


def _lay_out(told: Told, user: int) -> None:
    """Make a user's file system and move into it; nothing of the old one stays in sight."""
    folder = Path(told.folder)
    root = folder / "root"
    _mount("none", Path("/"), None, _REC | _PRIVATE)
    _mount("none", root, "tmpfs", _NO_SUID | _NO_DEV, "mode=755")
    for name in ("dev", "etc", "proc", "tmp"):
        (root / name).mkdir()
        os.chown(root / name, user, user)
    (root / "tmp").chmod(0o1777)
    for name in _FROM_MACHINE if told.network else ():
        source = Path("/etc") / name
        if source.is_file():
            (root / "etc" / name).write_bytes(source.read_bytes())
    for inside, shown in told.shown.items():
        _show(Path(shown), root / inside.lstrip("/"))
    for name in ("build", "out"):
        _show(folder / name, root / name, writable=True)
    _devices(root / "dev")
    _mount("proc", root / "proc", "proc", _NO_SUID | _NO_DEV)
    os.chdir(root)
    # The old root comes to lie over the new one, and is taken off (pivot_root(2), "pivot_root(".", ".")").
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _DETACH), "umount")
    os.chdir("/build")


def _devices(dev: Path) -> None:
    for name in _DEVICES:
        _show(Path("/dev") / name, dev / name, writable=True)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    _mount("none", dev / "shm", "tmpfs", _NO_SUID | _NO_DEV, "mode=1777,size=50%")
    _mount("devpts", dev / "pts", "devpts", _NO_SUID, "newinstance,ptmxmode=0666,mode=620")


def _give_up() -> None:
    """Lose the ways to the rest of the machine that namespaces leave, and stay without them."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    # Abstract Unix sockets belong to the network's namespace. Linux before 6.12 cannot close them off.
    attributes = struct.pack("=3Q", 0, 0, _SCOPES)
    ruleset = _libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset >= 0:
        _check(_libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
        os.close(ruleset)


def _be(told: Told, user: int | None) -> NoReturn:
    """Be the first process of the new namespaces: make the file system, give up all rights, execute."""
    os.setsid()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _check(_libc.sethostname(b"localhost", 9), "sethostname")
    _check(_libc.setdomainname(b"(none)", 6), "setdomainname")
    os.umask(0o022)
    _lay_out(told, _INSIDE if user is None else user)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a secret would be in it
    _libc.personality(_ADDR_NO_RANDOMIZE)
    if user is not None:
        _become(user)
    _give_up()
    os.dup2(2, 1)  # one stream, so that lines stay in order
    os.execve(told.command[0], told.command, told.environment)  # noqa: S606 - a list of arguments, no shell


def _run(told: Told) -> int:
    user = builders_user()
    if user is not None:
        for name in ("build", "out"):
            _give(Path(told.folder) / name, user)
    as_user = _isolate(user, network=told.network)
    first = os.fork()
    if first == 0:
        try:
            _be(told, None if as_user else user)
        except (SandboxError, OSError) as error:
            _say(error)
        os._exit(FAILED)
    _, status = os.waitpid(first, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _give(folder: Path, user: int) -> None:
    os.chown(folder, user, user)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.lchown(Path(parent) / name, user, user)


def _say(error: Exception) -> None:
    sys.stderr.write(f"cog-nix: {error}\n")
    sys.stderr.flush()


def main() -> None:
    """Run what the argument says; end with its exit status."""
    # A terminal's interrupt comes to the whole group: cog-nix answers it, and its end is ours.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        code = _run(Told(**json.loads(sys.argv[1])))
    except (SandboxError, OSError) as error:
        _say(error)
        code = FAILED
    sys.exit(code)


if __name__ == "__main__":
    main()
