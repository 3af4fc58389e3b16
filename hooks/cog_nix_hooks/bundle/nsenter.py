"""Runs a command in a running container, with no more rights than the container itself has.

Standard library alone, since it is a process of its own, which enters the container's namespaces before the
command's program is looked for::

    python3 -I -S -B nsenter.py PROCESS CAPABILITIES FILTER USER COMMAND [ARGUMENT]… < ENVIRONMENT

``PROCESS`` is the container's first, ``CAPABILITIES`` a mask of those to keep (capabilities(7)), ``FILTER`` a
file of a filter of system calls (seccomp(2), ``struct sock_filter``; none when empty), ``USER`` who the
command is in the container (``uid:gid``), ``ENVIRONMENT`` a JSON object. It ends with this process.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_NAMESPACES = ("user", "cgroup", "ipc", "uts", "pid", "mnt")
"""In the order in which they can be entered."""
# linux/prctl.h, linux/seccomp.h, linux/capability.h
_SET_PDEATHSIG, _SET_SECCOMP, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 1, 22, 24, 38
_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_FILTER_BYTES = 8
_GET_OWNER = 0xB701
"""ioctl_ns(2), ``NS_GET_USERNS``."""
_WORD = 0xFFFFFFFF
_NOT_FOUND = 127

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library that returns 0.

    Raises:
        OSError: it fails.
    """
    if getattr(_libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _is_same(descriptor: int, path: str) -> bool:
    """Whether a namespace is the one that a path names."""
    return os.path.samestat(os.fstat(descriptor), os.stat(path))  # noqa: PTH116 - start up fast


def _enter(process: str) -> None:
    """Enter the namespaces of a process that are not this one's, and its folder."""
    folder = os.open(f"/proc/{process}/cwd", os.O_PATH | os.O_DIRECTORY)
    spaces = []
    with suppress(OSError):  # bubblewrap makes two user namespaces, and the others belong to the outer one
        owner = fcntl.ioctl(os.open(f"/proc/{process}/ns/mnt", os.O_RDONLY), _GET_OWNER)
        if not any(_is_same(owner, f"/proc/{one}/ns/user") for one in (process, "self")):
            spaces.append(owner)
    user_last = len(spaces)
    for name in _NAMESPACES:
        with suppress(FileNotFoundError):  # a kernel without such
            theirs = os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY)
            if not _is_same(theirs, f"/proc/self/ns/{name}"):
                spaces.append(theirs)
    if user_last:
        spaces.append(spaces.pop(1))
    for one in spaces:
        _call("setns", one, 0)
    os.fchdir(folder)


def _drop(kept: int, filtered: bytes) -> None:
    """Give up all capabilities but these, for ever, and the system calls that the filter refuses."""
    with suppress(OSError):  # the mask has more than there are
        for number in range(64):
            if not kept >> number & 1:
                _call("prctl", _CAPBSET_DROP, number, 0, 0, 0)
    low, high = kept & _WORD, kept >> 32
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0))
    _call("prctl", _SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if filtered:
        program = _Program(len(filtered) // _FILTER_BYTES, filtered)
        _call("prctl", _SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)


def _become(
    command: list[str], environment: dict[str, str], user: tuple[int, int], kept: int, filtered: bytes
) -> NoReturn:
    """Become the command, as the first process in there."""
    try:
        _call("prctl", _SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with suppress(OSError):  # in a user namespace of a plain user's it cannot be done
            os.setgroups([])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        uid, gid = user
        if (os.getuid(), os.getgid()) != user:
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            _call("prctl", _SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # the kernel forgets it with the user
        _drop(0 if uid else kept, filtered)
        os.execvpe(command[0], command, environment)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
    os._exit(_NOT_FOUND)


def main() -> None:
    """Run the command; end with its status, 128 and the signal's number when a signal ended it."""
    process, kept, filtered, user, *command = sys.argv[1:]
    uid, _, gid = user.partition(":")
    program = Path(filtered).read_bytes() if filtered else b""
    environment = json.load(sys.stdin)
    _enter(process)
    child = os.fork()  # who enters a namespace of processes is not in it, its children are (setns(2))
    if child == 0:
        _become(command, environment, (int(uid), int(gid)), int(kept), program)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
