"""Run a program as root of another file system, without being root: a user namespace and a seccomp filter.

Inside Nix's sandbox there is one user. The namespace maps it to uid 0, so the program may mount, chroot and
own its files; a seccomp filter answers "done" to what needs more users than there are (chown, setuid, mknod,
setuid bits), and to waiting for disks. Nix forbids setuid bits itself with a filter that says EPERM; of two
filters that answer an error the one installed last is heard (seccomp(2)), so ours decides. Real owners and
modes come from the packages' own archives.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import sys
from pathlib import Path
from typing import NoReturn

_libc = ctypes.CDLL(None, use_errno=True)

MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x08000000 | 0x04000000
"""CLONE_NEWUSER, NEWNS, NEWPID, NEWIPC, NEWUTS (linux/sched.h); os.unshare came with Python 3.12."""
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2

# linux/audit.h, linux/seccomp.h and linux/bpf_common.h
_AUDIT_ARCH_X86_64 = 0xC000003E
_RET_ALLOW = 0x7FFF0000
_RET_DONE = 0x00050000  # SECCOMP_RET_ERRNO with errno 0: the call is skipped and returns 0
_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_OFFSET, _ARCH_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_SETUID_BITS = 0o6000

# arch/x86/entry/syscalls/syscall_64.tbl
_SKIPPED = {
    "chown": 92,
    "fchown": 93,
    "lchown": 94,
    "setuid": 105,
    "setgid": 106,
    "setreuid": 113,
    "setregid": 114,
    "setgroups": 116,
    "setresuid": 117,
    "setresgid": 119,
    "setfsuid": 122,
    "setfsgid": 123,
    "mknod": 133,
    "mknodat": 259,
    "fchownat": 260,
    # The file system is thrown away with the build: nothing in it needs to survive a power cut.
    "msync": 26,
    "fsync": 74,
    "fdatasync": 75,
    "sync": 162,
    "sync_file_range": 277,
    "syncfs": 306,
}
_CHMOD_MODE_ARGUMENT = {"chmod": (90, 1), "fchmod": (91, 1), "fchmodat": (268, 2), "fchmodat2": (452, 2)}


class NamespaceError(Exception):
    """The kernel does not let this build make a user namespace."""


def _filter_program() -> bytes:
    """Assemble the classic BPF program (linux/filter.h: code, jump true, jump false, constant)."""

    def instruction(code: int, constant: int, true: int = 0, false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, true, false, constant)

    program = [
        instruction(_LOAD, _ARCH_OFFSET),
        instruction(_JUMP_EQUAL, _AUDIT_ARCH_X86_64, true=1),
        instruction(_RETURN, _RET_ALLOW),
        instruction(_LOAD, _NUMBER_OFFSET),
    ]
    for number in _SKIPPED.values():
        program += [instruction(_JUMP_EQUAL, number, false=1), instruction(_RETURN, _RET_DONE)]
    for number, argument in _CHMOD_MODE_ARGUMENT.values():
        program += [
            instruction(_JUMP_EQUAL, number, false=4),
            instruction(_LOAD, _ARGUMENTS_OFFSET + 8 * argument),
            instruction(_JUMP_SET, _SETUID_BITS, false=1),
            instruction(_RETURN, _RET_DONE),
            instruction(_RETURN, _RET_ALLOW),
        ]
    program.append(instruction(_RETURN, _RET_ALLOW))
    return b"".join(program)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise NamespaceError(f"{what}: {os.strerror(code)}")


def _install_filter() -> None:
    program = _filter_program()
    buffer = ctypes.create_string_buffer(program, len(program))
    descriptor = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, descriptor, 0, 0), "prctl(PR_SET_SECCOMP)")


def _mount(source: str, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = kind.encode() if kind else None
    options = data.encode() if data else None
    _check(
        _libc.mount(source.encode(), str(target).encode(), encoded, ctypes.c_ulong(flags), options),
        f"mount {source} on {target}",
    )


def _enter(root: Path, binds: dict[str, Path], lower: Path | None) -> Path:
    """Move this process into new namespaces (user_namespaces(7)); return what becomes its file system."""
    uid, gid = os.geteuid(), os.getegid()
    _check(_libc.unshare(_NAMESPACES), "user namespaces are not available to this build")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    _mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    if lower:
        root = _overlay(lower, root)
    for inside, outside in binds.items():
        target = root / inside.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        _mount(str(outside), target, None, MS_BIND | MS_REC)
    return root


def _overlay(lower: Path, upper: Path) -> Path:
    """Lay ``upper`` over ``lower``; return where both are seen (Linux, "Overlay Filesystem")."""
    work, seen = upper.with_name(f"{upper.name}.work"), upper.with_name(f"{upper.name}.seen")
    for folder in (work, seen):
        folder.mkdir(exist_ok=True)
    try:
        _mount("overlay", seen, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work},userxattr")
    except NamespaceError:
        # Linux before 5.11, or a build folder that is an overlay itself: copy what is not in upper yet.
        _complete(lower, upper)
        return upper
    return seen


def _complete(lower: Path, upper: Path) -> None:
    for entry in os.scandir(lower):
        target = upper / entry.name
        if entry.is_dir(follow_symlinks=False):
            target.mkdir(exist_ok=True)
            _complete(Path(entry.path), target)
        elif not os.path.lexists(target):
            shutil.copy2(entry.path, target, follow_symlinks=False)
            if not entry.is_symlink():
                target.chmod(target.stat().st_mode | 0o200)


def _become(root: Path, command: list[str], environment: dict[str, str]) -> NoReturn:
    """Be the first process of the new pid namespace: mount /proc, change root, filter, execute."""
    (root / "proc").mkdir(exist_ok=True)
    _mount("proc", root / "proc", "proc", 0)
    os.chroot(root)
    os.chdir("/")
    os.umask(0o022)
    _install_filter()
    os.execve(command[0], command, environment)  # noqa: S606 - a list of arguments, no shell


def run(
    root: Path,
    command: list[str],
    environment: dict[str, str],
    binds: dict[str, Path],
    lower: Path | None = None,
) -> int:
    """Run a command as root of ``root``; wait for it.

    Args:
        root: the file system's folder, writable.
        command: absolute path inside ``root``, and arguments.
        environment: the whole environment.
        binds: folders of this side to show inside, by path inside.
        lower: a file system that ``root`` is laid over; it is not changed.

    Returns:
        The exit status; 128 + signal number when a signal ended it; 125 when the namespace cannot be made.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    outer = os.fork()
    if outer == 0:
        try:
            root = _enter(root, binds, lower)
            inner = os.fork()
            if inner == 0:
                _become(root, command, environment)
            _, status = os.waitpid(inner, 0)
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        except (NamespaceError, OSError) as error:
            sys.stderr.write(f"cog-nix: {error}\n")
            sys.stderr.flush()
        os._exit(125)
    _, status = os.waitpid(outer, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
