"""Run a program as root of another file system, without being root: a user namespace and a seccomp filter.

Inside Nix's sandbox there is one user. The namespace maps it to uid 0, so its file system can be mounted, and
it owns all files; what it must not reach is closed off (:mod:`confinement`, :mod:`refused`). A seccomp filter
answers "done" to what needs more users than there are (chown, setuid, mknod, setuid bits), and to waiting for
disks. Nix forbids setuid bits itself with a filter that says EPERM; of two filters that answer an error the
one installed last is heard (seccomp(2)), so ours decides. What owners and special bits were asked for can be
written down (:mod:`supervise`): owners other than root, and special bits, then raise a signal instead.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import calls
import confinement
import refused
from confinement import MS_BIND, MS_PRIVATE, MS_REC, NamespaceError, check, mount
from failure import MARK
from refused import ARGUMENTS, JUMP_EQUAL, JUMP_SET, LOAD, RET_ALLOW, RETURN, instruction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ownership import Ownership

_libc = ctypes.CDLL(None, use_errno=True)

_OTHERS = 0x00020000 | 0x20000000 | 0x08000000 | 0x04000000
"""CLONE_NEWNS, NEWPID, NEWIPC, NEWUTS (linux/sched.h)."""
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 4, 38, 22, 2

# linux/seccomp.h
_RET_DONE = 0x00050000  # SECCOMP_RET_ERRNO with errno 0: the call is skipped and returns 0
_RET_TRAP = 0x00030000  # SIGSYS; counts for more than another filter's error
_SETUID_BITS = 0o6000
_UNCHANGED = 0xFFFFFFFF

_SKIPPED = (
    *(
        "setuid",
        "setgid",
        "setreuid",
        "setregid",
        "setgroups",
        "setresuid",
        "setresgid",
        "setfsuid",
        "setfsgid",
    ),
    *("mknod", "mknodat"),
    # The file system is thrown away with the build: nothing in it needs to survive a power cut.
    *("msync", "fsync", "fdatasync", "sync", "sync_file_range", "syncfs"),
)
_CHOWN_USER_ARGUMENT = {"chown": 1, "fchown": 1, "lchown": 1, "fchownat": 2}
"""Place of the user; the group comes after."""
_SETXATTR = ("setxattr", "lsetxattr", "fsetxattr")
_CHMOD_MODE_ARGUMENT = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2}


def _filter_program(*, record: bool = False, machine: int = calls.HERE) -> bytes:
    """Assemble the classic BPF program.

    Args:
        record: raise a signal where a call asks for what has to be written down.
        machine: whose calls are asked for.
    """
    asked = _RET_TRAP if record else _RET_DONE
    program = refused.beginning(machine)
    for number in calls.numbers(_SKIPPED, machine).values():
        program += [instruction(JUMP_EQUAL, number, false=1), instruction(RETURN, _RET_DONE)]
    for name, number in calls.numbers(_CHOWN_USER_ARGUMENT, machine).items():
        argument = _CHOWN_USER_ARGUMENT[name]
        # Root, or -1 (no change), for user and group alike, is what files have anyway.
        program += [
            instruction(JUMP_EQUAL, number, false=8),
            instruction(LOAD, ARGUMENTS + 8 * argument),
            instruction(JUMP_EQUAL, 0, true=1),
            instruction(JUMP_EQUAL, _UNCHANGED, false=3),
            instruction(LOAD, ARGUMENTS + 8 * (argument + 1)),
            instruction(JUMP_EQUAL, 0, true=2),
            instruction(JUMP_EQUAL, _UNCHANGED, true=1),
            instruction(RETURN, asked),
            instruction(RETURN, _RET_DONE),
        ]
    for name, number in calls.numbers(_CHMOD_MODE_ARGUMENT, machine).items():
        program += [
            instruction(JUMP_EQUAL, number, false=4),
            instruction(LOAD, ARGUMENTS + 8 * _CHMOD_MODE_ARGUMENT[name]),
            instruction(JUMP_SET, _SETUID_BITS, false=1),
            instruction(RETURN, asked),
            instruction(RETURN, RET_ALLOW),
        ]
    if record:
        for number in calls.numbers(_SETXATTR, machine).values():
            program += [instruction(JUMP_EQUAL, number, false=1), instruction(RETURN, asked)]
    program.append(instruction(RETURN, RET_ALLOW))
    return b"".join(program)


def _install_filter(*, record: bool) -> None:
    program = _filter_program(record=record)
    buffer = ctypes.create_string_buffer(program, len(program))
    descriptor = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, descriptor, 0, 0), "prctl(PR_SET_SECCOMP)")


def _enter(root: Path, binds: dict[str, Path]) -> None:
    """Move this process into new namespaces (user_namespaces(7)), and mount what ``root`` gets."""
    confinement.enter(_OTHERS, 0)
    mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    if (root / "dev").is_dir():
        confinement.devices(root / "dev")
    for inside, outside in binds.items():
        target = root / inside.lstrip("/")
        if not target.exists():
            target.mkdir(parents=True)
        mount(str(outside), target, None, MS_BIND | MS_REC)


def _become(
    root: Path, command: list[str], environment: dict[str, str], hold: tuple[int, int] | None
) -> NoReturn:
    """Be the first process of the new pid namespace: enter the file system, filter, execute.

    Args:
        root: the file system's folder.
        command: what to be.
        environment: the whole of it.
        hold: a pipe to wait at until this process is traced; None: nobody traces it.
    """
    confinement.enclose(root)
    os.umask(0o022)
    if hold:
        os.close(hold[1])
        os.read(hold[0], 1)
    _install_filter(record=bool(hold))
    os.execve(command[0], command, environment)  # noqa: S606 - a list of arguments, no shell


def run(
    root: Path,
    command: list[str],
    environment: dict[str, str],
    binds: dict[str, Path],
    *,
    owners: Ownership | None = None,
) -> int:
    """Run a command as root of ``root``; wait for it.

    Args:
        root: the file system's folder, writable. Where it has ``dev``, that gets the usual devices.
        command: absolute path inside ``root``, and arguments.
        environment: the whole environment.
        binds: folders of this side to show inside, by path inside; files as well where one is there already.
        owners: is told which owners and special bits the command asks for; None: nobody is.

    Returns:
        The exit status; 128 + signal number when a signal ended it; 125 when the namespace cannot be made.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    told, tell = os.pipe()
    outer = os.fork()
    if outer == 0:
        code = 125
        try:
            os.close(told)
            _enter(root, binds)
            status = _supervised(root, command, environment, owners, tell)
            code = _code(status)
        except (NamespaceError, OSError) as error:
            sys.stderr.write(f"{MARK}{error}\n")
            sys.stderr.flush()
        os._exit(code)
    os.close(tell)
    with os.fdopen(told, "rb") as stream:
        changes = stream.read()
    _, status = os.waitpid(outer, 0)
    if owners is not None and changes:
        owners.update(changes)
    return _code(status)


@contextmanager
def one_processor() -> Iterator[None]:
    """Keep what is started inside the block on the processor that this runs on.

    Programs that wait for each other, and for whoever traces them, go on sooner where nobody has to wake
    another processor first.
    """
    allowed = os.sched_getaffinity(0)
    with suppress(OSError):  # it is quicker, and no more than that
        os.sched_setaffinity(0, {_libc.sched_getcpu()} & allowed or allowed)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, allowed)


def _supervised(
    root: Path, command: list[str], environment: dict[str, str], owners: Ownership | None, tell: int
) -> int:
    """Start the command, write to ``tell`` what it asked for, and return its wait status."""
    # Before the new /proc may cover it.
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    # A process whose credentials changed may not be traced, nor what it forks, until it says so (prctl(2)).
    check(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")
    wait, go = os.pipe()
    inner = os.fork()
    if inner == 0:
        _become(root, command, environment, (wait, go) if owners is not None else None)
    os.close(wait)
    if owners is None:
        return os.waitpid(inner, 0)[1]
    import supervise  # noqa: PLC0415 - derivations that record nothing come without it

    os.chroot(root)
    os.chdir("/")
    try:
        status = supervise.supervise(inner, lambda: os.close(go), proc, owners, confinement.PROCESSES)
    except supervise.SuperviseError as error:
        os.kill(inner, signal.SIGKILL)
        raise NamespaceError(f"programs cannot be traced here: {error}") from error
    except supervise.TooManyError as error:
        os.kill(inner, signal.SIGKILL)
        raise NamespaceError(f"{command[0]} was ended: {error}") from error
    with os.fdopen(tell, "wb") as stream:
        stream.write(owners.dump())
    return status


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
