"""Whether builds can be isolated here: tries what Nix's sandbox and the builders inside it do.

Standard library alone: the container that runs Nix asks the same (:mod:`cog_nix.container.server`), and the
trial runs in a process of its own::

    python3 -I -S -B namespaces.py
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x08000000 | 0x04000000
"""CLONE_NEWUSER, NEWNS, NEWPID, NEWIPC, NEWUTS (linux/sched.h); os.unshare came with Python 3.12."""
_MS_REC, _MS_PRIVATE = 16384, 1 << 18


@dataclass(frozen=True)
class NoNamespaces:
    """Why builds cannot be isolated."""

    sentence: str
    remedy: str = ""
    """A command that helps."""


_SETTINGS = (
    # Ubuntu's since 23.10, Debian's (until 11 on by default), the kernel's own.
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "0",
        "AppArmor forbids user namespaces to programs",
    ),
    ("kernel/unprivileged_userns_clone", "0", "1", "The kernel is set to forbid user namespaces"),
    ("user/max_user_namespaces", "0", "15000", "The kernel is set to allow no user namespaces"),
)


def why_no_namespaces() -> NoNamespaces | None:
    """Return why builds cannot be isolated here; None: they can.

    Takes some hundredths of a second.
    """
    finished = subprocess.run(
        [sys.executable, "-I", "-S", "-B", __file__], capture_output=True, text=True, check=False
    )
    if finished.returncode == 0:
        return None
    for name, forbids, allows, sentence in _SETTINGS:
        path = Path("/proc/sys", name)
        if path.exists() and path.read_text(encoding="ascii").strip() == forbids:
            setting = name.replace("/", ".")
            return NoNamespaces(f"{sentence} ({setting}={forbids}).", f"sudo sysctl -w {setting}={allows}")
    return NoNamespaces(f"Namespaces cannot be made here: {finished.stderr.strip()}.")


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _enter(libc: ctypes.CDLL, depth: int) -> None:
    """Make namespaces with a /proc of their own, one within the other."""
    uid, gid = os.geteuid(), os.getegid()
    _check(libc.unshare(_NAMESPACES), "making a user namespace")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    child = os.fork()
    if child == 0:
        try:
            _check(
                libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "mounting in it"
            )
            _check(libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None), "mounting /proc in it")
            if depth > 1:
                _enter(libc, depth - 1)
        except OSError as error:
            sys.stderr.write(str(error.strerror))
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        os._exit(1)


def main() -> None:
    """Try it twice, one within the other: Nix's sandbox, and a builder's own."""
    try:
        _enter(ctypes.CDLL(None, use_errno=True), 2)
    except OSError as error:
        sys.stderr.write(str(error.strerror))
        sys.exit(1)


if __name__ == "__main__":
    main()
