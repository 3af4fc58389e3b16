"""System calls that foreign code does without, as in Docker's containers: a part of its seccomp filter.

They are ways into parts of the kernel that no build needs, and that holes are found in.
"""

from __future__ import annotations

import errno
import struct

import calls

# linux/seccomp.h and linux/bpf_common.h
RET_ALLOW, _RET_ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, ARCH, ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_NAMESPACES = 0x7E020000
"""All CLONE_NEW… but CLONE_NEWTIME, which unshare(2) alone takes."""
_NEW_TIME = 0x00000080
_VSOCK = 40
"""AF_VSOCK: a way to what runs this machine, where it is a virtual one."""

CALLS = tuple(
    """
    acct add_key bpf clock_adjtime clock_adjtime64 clock_settime clock_settime64 delete_module fanotify_init
    finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup
    ioperm iopl kexec_file_load kexec_load keyctl lookup_dcookie mount mount_setattr move_mount
    open_by_handle_at open_tree open_tree_attr perf_event_open pivot_root quotactl quotactl_fd reboot
    request_key setdomainname sethostname setns settimeofday stime swapoff swapon syslog umount umount2
    userfaultfd vhangup vm86 vm86old
    """.split()  # noqa: SIM905 - a list of words to read
)


def instruction(code: int, constant: int, true: int = 0, false: int = 0) -> bytes:
    """Return a step of a classic BPF program (linux/filter.h: code, jump true, jump false, constant)."""
    return struct.pack("=HBBI", code, true, false, constant)


def answer(number: int) -> int:
    """Return the action that skips a call and lets it fail with an error's number."""
    return _RET_ERRNO | number


_REFUSE = instruction(RETURN, answer(errno.EPERM))


def _section(machine: int) -> list[bytes]:
    """Return the steps for one architecture; the number is loaded before them and after."""
    steps: list[bytes] = []
    for number in calls.numbers(CALLS, machine).values():
        steps += [instruction(JUMP_EQUAL, number, false=1), _REFUSE]
    looked_into = calls.numbers(("clone", "clone3", "socket", "unshare"), machine)
    # Its flags are out of a filter's sight. C libraries take clone(2) where there is none (Linux 5.3).
    steps += [
        instruction(JUMP_EQUAL, looked_into["clone3"], false=1),
        instruction(RETURN, answer(errno.ENOSYS)),
    ]
    for name, flags in (("clone", _NAMESPACES), ("unshare", _NAMESPACES | _NEW_TIME)):
        steps += [
            instruction(JUMP_EQUAL, looked_into[name], false=4),
            instruction(LOAD, ARGUMENTS),
            instruction(JUMP_SET, flags, false=1),
            _REFUSE,
            instruction(LOAD, NUMBER),
        ]
    return [
        *steps,
        instruction(JUMP_EQUAL, looked_into["socket"], false=4),
        instruction(LOAD, ARGUMENTS),
        instruction(JUMP_EQUAL, _VSOCK, false=1),
        _REFUSE,
        instruction(LOAD, NUMBER),
    ]


def beginning(machine: int = calls.HERE) -> list[bytes]:
    """Return the first steps of a filter: what they let pass is a 64-bit call, whose number is loaded.

    Args:
        machine: whose calls are asked for.
    """
    others = _narrow() if machine == calls.X86_64 else []
    return [
        instruction(LOAD, ARCH),
        instruction(JUMP_EQUAL, machine, true=len(others) + 1),
        *others,
        # Whatever another one may be, it is not known here.
        instruction(RETURN, answer(errno.ENOSYS)),
        instruction(LOAD, NUMBER),
        *(_without_x32() if machine == calls.X86_64 else []),
        *_section(machine),
    ]


def _narrow() -> list[bytes]:
    """Return the steps for 32-bit calls of x86-64; whatever is not one goes on behind them."""
    steps = [instruction(LOAD, NUMBER), *_section(calls.I386), instruction(RETURN, RET_ALLOW)]
    return [instruction(JUMP_EQUAL, calls.I386, false=len(steps)), *steps]


def _without_x32() -> list[bytes]:
    return [instruction(JUMP_SET, _X32, false=1), instruction(RETURN, answer(errno.ENOSYS))]
