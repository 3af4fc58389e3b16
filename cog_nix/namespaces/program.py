"""Try what builds and containers do with namespaces, one step after the other; print where it ended.

Run as ``python -I program.py FOLDER``: in a process of its own, because it can't be undone. Prints
nothing when all of it works, otherwise the step's name (:data:`STEPS`) and the kernel's error number.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

STEPS = ("user", "map", "other", "mount", "proc")
"""Make a user namespace; become root in it; make mount, process, IPC and host name namespaces; mount a file
system; mount /proc anew."""

_NEWUSER = 0x10000000
_OTHERS = 0x00020000 | 0x20000000 | 0x08000000 | 0x04000000
"""CLONE_NEWNS, NEWPID, NEWIPC and NEWUTS (linux/sched.h); os.unshare came with Python 3.12."""
_RECURSIVE_PRIVATE = 16384 | 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "")


def _mount(kind: str, target: str) -> None:
    _checked(_libc.mount(kind.encode(), target.encode(), kind.encode(), ctypes.c_ulong(0), None))


def _become_root(uid: int, gid: int) -> None:
    """Map this process's user and group to root (user_namespaces(7))."""
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny", encoding="ascii")
    (own / "uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    (own / "gid_map").write_text(f"0 {gid} 1", encoding="ascii")


def try_steps(folder: str) -> str:
    """Take the steps; return how far they went, as this program prints it.

    Args:
        folder: one that a file system may be mounted on.
    """
    step = STEPS[0]
    uid, gid = os.geteuid(), os.getegid()
    try:
        _checked(_libc.unshare(_NEWUSER))
        step = STEPS[1]
        _become_root(uid, gid)
        step = STEPS[2]
        _checked(_libc.unshare(_OTHERS))
        step = STEPS[3]
        _checked(_libc.mount(b"none", b"/", None, ctypes.c_ulong(_RECURSIVE_PRIVATE), None))
        _mount("tmpfs", folder)
        step = STEPS[4]
        # The process namespace is the children's.
        if child := os.fork():
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            return f"{step} {status}" if status else ""
        try:
            _mount("proc", "/proc")
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    except OSError as error:
        return f"{step} {error.errno}"


if __name__ == "__main__":
    sys.stdout.write(try_steps(sys.argv[1]))
