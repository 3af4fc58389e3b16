"""Run a command that may make no user namespaces, as AppArmor, seccomp and the kernel's settings forbid them.

python forbid.py COMMAND [ARGUMENT]…
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
_UNSHARE, _CLONE, _CLONE3 = 272, 56, 435
_NEWUSER = 0x10000000
_PROGRAM = (
    (_LOAD, 0, 0, 0),  # the call's number (struct seccomp_data)
    (_JUMP_EQUAL, 5, 0, _CLONE3),  # its flags are in memory; glibc falls back to clone
    (_JUMP_EQUAL, 1, 0, _UNSHARE),
    (_JUMP_EQUAL, 0, 4, _CLONE),
    (_LOAD, 0, 0, 16),  # the first argument, flags in both
    (_JUMP_SET, 0, 2, _NEWUSER),
    (_RETURN, 0, 0, _EPERM),
    (_RETURN, 0, 0, _ENOSYS),
    (_RETURN, 0, 0, _ALLOW),
)


def main() -> None:
    code = b"".join(struct.pack("=HBBI", kind, true, false, value) for kind, true, false, value in _PROGRAM)
    buffer = ctypes.create_string_buffer(code, len(code))
    descriptor = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, descriptor, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - a list of arguments, no shell


if __name__ == "__main__":
    main()
