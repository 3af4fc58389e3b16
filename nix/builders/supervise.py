"""Watch a program and all that it starts, and write down the owners and special bits that it asks for.

The program's seccomp filter (:mod:`namespace`) raises SIGSYS where a call asks for something that the build's
one user cannot have. Signals of a traced program are its tracer's to look at first (ptrace(2)): this module
answers the call itself and takes the signal away, so the program sees a call that worked.

seccomp's own way to ask another process (SECCOMP_RET_USER_NOTIF) does not do: Nix' filter answers EPERM to
setuid bits, and of two filters' answers an error counts for more than a question, but a signal for more than
an error (seccomp(2)). Programs are not stopped at other calls, so this costs little (docs/design/sandbox.md).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import calls
import ownership

if TYPE_CHECKING:
    from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long

# linux/ptrace.h
_CONT, _GETSIGINFO, _GETREGSET, _SETREGSET, _SEIZE, _LISTEN = 7, 0x4202, 0x4204, 0x4205, 0x4206, 0x4208
_NT_PRSTATUS = 1  # linux/elf.h: the registers that programs use for all but floating point
_TRACEFORK, _TRACEVFORK, _TRACECLONE, _EXITKILL = 2, 4, 8, 1 << 20
_EVENT_STOP = 128
_BEGINNINGS = frozenset({1, 2, 3})
"""PTRACE_EVENT_FORK, _VFORK and _CLONE: there is one more."""
_STOPS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_WALL = 0x40000000
_SYS_SECCOMP = 1
"""``si_code`` of a SIGSYS that a filter raised (sigaction(2))."""
_CODE, _NUMBER = 2, 6
"""Places of that, and of the call's number, among the integers of ``siginfo_t`` on 64-bit machines."""


class _Layout(NamedTuple):
    """Where a processor has a call's arguments and result (syscall(2), sys/user.h)."""

    registers: int
    arguments: tuple[int, ...]
    result: int


_LAYOUT = {
    # rdi, rsi, rdx, r10, r8, r9, and rax in user_regs_struct
    calls.X86_64: _Layout(27, (14, 13, 12, 7, 9, 8), 10),
    # x0 to x5, and x0 in user_pt_regs
    calls.AARCH64: _Layout(34, (0, 1, 2, 3, 4, 5), 0),
}[calls.HERE]
_ADDRESS = (1 << 56) - 1
"""What counts of an address: programs on AArch64 may keep notes in the highest byte of one
(Linux, "AArch64 Tagged Address ABI"); no program of x86-64 has anything there."""

_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
_PATH_MAX = 4096
_PLAIN = 0o1777
"""Permissions that the build's user may really set."""

Registers = ctypes.c_ulonglong * _LAYOUT.registers
_Vector = ctypes.c_size_t * 2
"""``struct iovec``: where, and how many bytes."""


class SuperviseError(Exception):
    """The kernel does not let this build trace what it starts."""


class TooManyError(Exception):
    """There were more processes and threads at one time than there may be."""


@dataclass(frozen=True)
class _Call:
    """Where a system call has its arguments; None: it has no such argument."""

    path: int | None = None
    folder: int | None = None
    flags: int | None = None
    follows: bool = True
    """Whether symbolic links are followed, flags aside."""
    value: int = 1
    """Of the mode, or of the user; the group comes after."""


_CHOWN = {
    "chown": _Call(path=0),
    "fchown": _Call(folder=0),
    "lchown": _Call(path=0, follows=False),
    "fchownat": _Call(path=1, folder=0, flags=4, value=2),
}
_CHMOD = {
    "chmod": _Call(path=0),
    "fchmod": _Call(folder=0),
    "fchmodat": _Call(path=1, folder=0, value=2),
    "fchmodat2": _Call(path=1, folder=0, flags=3, value=2),
}

# Name, value and size come where a path or handle was first.
_SETXATTR = {
    "setxattr": _Call(path=0),
    "lsetxattr": _Call(path=0, follows=False),
    "fsetxattr": _Call(folder=0),
}
_CALLS = {**_CHOWN, **_CHMOD, **_SETXATTR}
_NAMES = {number: name for name, number in calls.numbers(_CALLS).items()}
_CAPABILITY = b"security.capability"
_CAPABILITY_SIZE = 24
"""At most: ``struct vfs_ns_cap_data`` (linux/capability.h)."""


def seize(pid: int) -> None:
    """Trace a process and what it will start.

    Raises:
        SuperviseError: that is not allowed here.
    """
    options = _TRACEFORK | _TRACEVFORK | _TRACECLONE | _EXITKILL
    if _libc.ptrace(_SEIZE, pid, None, options):
        code = ctypes.get_errno()
        raise SuperviseError(f"ptrace: {os.strerror(code)}")


class Supervisor:
    """Answers the calls of a traced process and all that it starts, until it ends.

    Args:
        proc: an open proc(5) of this process' pid namespace.
        owners: is told what was asked for.
        most: so many processes and threads there may be at one time. A kernel counts them before it makes
            one, but not for every user (:mod:`confinement`).

    This process has to see the same root as those it watches: their paths are looked up in it.
    """

    def __init__(self, proc: int, owners: ownership.Ownership, most: int) -> None:
        self._proc = proc
        self._owners = owners
        self._most = most

    def watch(self, first: int) -> int:
        """Return the wait status of the process that was seized.

        Raises:
            TooManyError: it and what it started became too many.
        """
        running = 1
        while True:
            pid, status = os.waitpid(-1, _WALL)
            if not os.WIFSTOPPED(status):
                if pid == first:
                    return status
                running -= 1
                continue
            event = status >> 16
            if event in _BEGINNINGS:
                running += 1
                if running > self._most:
                    raise TooManyError(f"more than {self._most} processes and threads at one time")
            self._stopped(pid, os.WSTOPSIG(status), event)

    def _stopped(self, pid: int, number: int, event: int) -> None:
        if event == _EVENT_STOP and number in _STOPS:
            _libc.ptrace(_LISTEN, pid, None, None)
            return
        passed = 0 if event else number
        if passed == signal.SIGSYS and (call := _refused(pid)) is not None:
            self._answer(pid, call)
            passed = 0
        _libc.ptrace(_CONT, pid, None, passed)

    def _answer(self, pid: int, number: int) -> None:
        registers = Registers()
        vector = _Vector(ctypes.addressof(registers), ctypes.sizeof(registers))
        if _libc.ptrace(_GETREGSET, pid, _NT_PRSTATUS, ctypes.addressof(vector)):
            return  # it was killed in the meantime
        arguments = [registers[place] for place in _LAYOUT.arguments]
        try:
            self._carry_out(pid, _NAMES[number], arguments)
            result = 0
        except OSError as error:
            result = -(error.errno or errno.EIO)
        # A call that raised a signal has not begun: on AArch64 its first argument is where its result goes.
        registers[_LAYOUT.result] = ctypes.c_ulonglong(result).value
        _libc.ptrace(_SETREGSET, pid, _NT_PRSTATUS, ctypes.addressof(vector))

    def _carry_out(self, pid: int, name: str, arguments: list[int]) -> None:
        call = _CALLS[name]
        if name in _SETXATTR and self._text(pid, arguments[1]) != _CAPABILITY:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))  # as Nix' filter has it
        handle = self._open(pid, call, arguments)
        try:
            if self._owners.layered:
                self._copy_up(handle)
            key = ownership.identify(handle)
            if name in _SETXATTR:
                self._owners.allow(key, self._bytes(pid, arguments[2], min(arguments[3], _CAPABILITY_SIZE)))
            elif name in _CHOWN:
                uid, gid = (_signed(arguments[call.value + each]) for each in (0, 1))
                folder = stat.S_ISDIR(os.fstat(handle).st_mode)
                self._owners.chown(key, uid, gid, folder=folder)
            else:
                mode = arguments[call.value]
                # An O_PATH handle takes no fchmod; its link in proc stands for the file.
                os.chmod(f"self/fd/{handle}", mode & _PLAIN, dir_fd=self._proc)
                self._owners.chmod(key, mode)
        finally:
            os.close(handle)

    def _copy_up(self, handle: int) -> None:
        """Make a file of a lower layer one of the upper: another file (Linux, "Overlay Filesystem")."""
        info = os.fstat(handle)
        if not stat.S_ISLNK(info.st_mode):
            os.chmod(f"self/fd/{handle}", info.st_mode & _PLAIN, dir_fd=self._proc)

    def _open(self, pid: int, call: _Call, arguments: list[int]) -> int:
        """Open the file that a call is about, without any rights to its contents."""
        flags = arguments[call.flags] if call.flags is not None else 0
        path = self._text(pid, arguments[call.path]) if call.path is not None else b""
        folder = _signed(arguments[call.folder]) if call.folder is not None else _AT_FDCWD
        place = f"{pid}/cwd" if folder == _AT_FDCWD else f"{pid}/fd/{folder}"
        if not path and (call.path is None or flags & _AT_EMPTY_PATH):
            return os.open(place, os.O_PATH, dir_fd=self._proc)
        if not path:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        follow = 0 if call.follows and not flags & _AT_SYMLINK_NOFOLLOW else os.O_NOFOLLOW
        if path.startswith(b"/"):
            return os.open(path, os.O_PATH | follow)
        base = os.open(place, os.O_PATH | os.O_DIRECTORY, dir_fd=self._proc)
        try:
            return os.open(path, os.O_PATH | follow, dir_fd=base)
        finally:
            os.close(base)

    def _text(self, pid: int, address: int) -> bytes:
        """Read a NUL-terminated path from a process' memory."""
        return self._bytes(pid, address, _PATH_MAX).partition(b"\0")[0]

    def _bytes(self, pid: int, address: int, size: int) -> bytes:
        memory = os.open(f"{pid}/mem", os.O_RDONLY, dir_fd=self._proc)
        try:
            return os.pread(memory, size, address & _ADDRESS)
        finally:
            os.close(memory)


def _refused(pid: int) -> int | None:
    """Return the number of the call that a filter raised a SIGSYS for; None: somebody sent it."""
    information = (ctypes.c_int * 32)()
    failed = _libc.ptrace(_GETSIGINFO, pid, None, ctypes.addressof(information))
    return None if failed or information[_CODE] != _SYS_SECCOMP else information[_NUMBER]


def _signed(argument: int) -> int:
    """Return a register's lower half as the C int it is: -1 leaves an owner, -100 is the current folder."""
    return ctypes.c_int(argument & 0xFFFFFFFF).value


def supervise(
    first: int, release: Callable[[], None], proc: int, owners: ownership.Ownership, most: int
) -> int:
    """Trace a waiting process, let it go on, and return its wait status when it has ended.

    Raises:
        SuperviseError: tracing is not allowed here.
        TooManyError: see :class:`Supervisor`.
    """
    seize(first)
    release()
    return Supervisor(proc, owners, most).watch(first)
