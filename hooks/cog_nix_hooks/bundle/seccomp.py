"""Which system calls a container may use: those of Docker's default profile (``syscalls.json``).

``allowed`` may be called with any arguments, ``conditional`` where one argument compares so: no sockets of
virtual machines, no other personalities, no new namespaces. ``unknown`` ones are answered with ENOSYS, so a C
library falls back to ``clone``, whose flags a filter can read. Anything else is EPERM. Names of calls that a
processor does not have count for nothing there.
"""

from __future__ import annotations

import ctypes
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from cog_nix.errors import RuntimeFailure
from cog_nix.system.platforms import BUILDER

_ENOSYS = 38
_LIBRARY = "libseccomp.so.2"
# libseccomp, seccomp.h: actions, comparisons, and the AUDIT_ARCH numbers of linux/audit.h.
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_UNKNOWN_NAME = -1
_COMPARISONS = {"SCMP_CMP_LT": 2, "SCMP_CMP_EQ": 4, "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7}
_ARCHITECTURES = {
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_X32": 0x4000003E,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
    "SCMP_ARCH_ARM": 0x40000028,
}


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("syscalls.json").read_text("utf-8"))
    # An emulated image's calls are the emulator's, which makes those of this machine.
    return {**table, "architectures": table["architectures"][BUILDER.architecture]}


def oci_section() -> dict[str, Any]:
    """Return ``linux.seccomp`` of a bundle's configuration (runtime-spec, config-linux.md, "Seccomp")."""
    table = _table()
    conditional = [
        {
            "names": [rule["name"]],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": rule["index"], "value": rule["value"], "valueTwo": 0, "op": rule["op"]}],
        }
        for rule in table["conditional"]
    ]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": table["architectures"],
        "syscalls": [
            {"names": table["allowed"], "action": "SCMP_ACT_ALLOW"},
            *conditional,
            {"names": table["unknown"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
        ],
    }


def write_program(path: Path) -> bool:
    """Write the filter as the kernel and bubblewrap take it (seccomp(2), ``struct sock_filter``).

    Returns:
        False where libseccomp is not installed, which compiles it.

    Raises:
        RuntimeFailure: libseccomp refuses a rule.
    """
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        return False
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | 1)))
    try:
        for name in _table()["architectures"]:
            number = ctypes.c_uint32(_ARCHITECTURES[name])
            library.seccomp_arch_add(context, number)  # -EEXIST: this machine's
        for name in _table()["allowed"]:
            _add(library, context, _ALLOW, name)
        for rule in _table()["conditional"]:
            compared = _Comparison(rule["index"], _COMPARISONS[rule["op"]], rule["value"], 0)
            _add(library, context, _ALLOW, rule["name"], compared)
        for name in _table()["unknown"]:
            _add(library, context, _ERRNO | _ENOSYS, name)
        with path.open("wb") as program:
            if status := library.seccomp_export_bpf(context, program.fileno()):
                raise RuntimeFailure(
                    f"libseccomp cannot write the system call filter: {os.strerror(-status)}"
                )
    finally:
        library.seccomp_release(context)
    return True


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def _add(
    library: ctypes.CDLL, context: ctypes.c_void_p, action: int, name: str, *comparisons: _Comparison
) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == _UNKNOWN_NAME:
        return  # newer than the library, which filters it
    array = (_Comparison * len(comparisons))(*comparisons)
    arguments = (context, ctypes.c_uint32(action), number, len(comparisons), array)
    if status := library.seccomp_rule_add_array(*arguments):
        raise RuntimeFailure(f"libseccomp refuses a rule for {name}: {os.strerror(-status)}")
