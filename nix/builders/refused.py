"""System calls that foreign code does without, as in Docker's containers: a part of its seccomp filter.

They are ways into parts of the kernel that no build needs, and that holes are found in. Both kinds of numbers
are here, since a program may make 32-bit calls at any time.
"""

from __future__ import annotations

import errno
import struct

# linux/audit.h, linux/seccomp.h and linux/bpf_common.h
ARCH_X86_64, ARCH_I386 = 0xC000003E, 0x40000003
RET_ALLOW, _RET_ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, ARCH, ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_NAMESPACES = 0x7E020000
"""All CLONE_NEW… but CLONE_NEWTIME, which unshare(2) alone takes."""
_NEW_TIME = 0x00000080
_VSOCK = 40
"""AF_VSOCK: a way to what runs this machine, where it is a virtual one."""

# By name: number on x86-64 and on i386; None: there is none. syscall_64.tbl, syscall_32.tbl
CALLS: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 51),
    "add_key": (248, 286),
    "bpf": (321, 357),
    "clock_adjtime": (305, 343),
    "clock_adjtime64": (None, 405),
    "clock_settime": (227, 264),
    "clock_settime64": (None, 404),
    "delete_module": (176, 129),
    "fanotify_init": (300, 338),
    "finit_module": (313, 350),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 128),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, 101),
    "iopl": (172, 110),
    "kexec_file_load": (320, None),
    "kexec_load": (246, 283),
    "keyctl": (250, 288),
    "lookup_dcookie": (212, 253),
    "mount": (165, 21),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_by_handle_at": (304, 342),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 336),
    "pivot_root": (155, 217),
    "quotactl": (179, 131),
    "quotactl_fd": (443, 443),
    "reboot": (169, 88),
    "request_key": (249, 287),
    "setdomainname": (171, 121),
    "sethostname": (170, 74),
    "setns": (308, 346),
    "settimeofday": (164, 79),
    "stime": (None, 25),
    "swapoff": (168, 115),
    "swapon": (167, 87),
    "syslog": (103, 103),
    "umount": (None, 22),
    "umount2": (166, 52),
    "userfaultfd": (323, 374),
    "vhangup": (153, 111),
    "vm86": (None, 166),
    "vm86old": (None, 113),
}
_CLONE, _UNSHARE, _CLONE3, _SOCKET = (56, 120), (272, 310), (435, 435), (41, 359)


def instruction(code: int, constant: int, true: int = 0, false: int = 0) -> bytes:
    """Return a step of a classic BPF program (linux/filter.h: code, jump true, jump false, constant)."""
    return struct.pack("=HBBI", code, true, false, constant)


def answer(number: int) -> int:
    """Return the action that skips a call and lets it fail with an error's number."""
    return _RET_ERRNO | number


_REFUSE = instruction(RETURN, answer(errno.EPERM))


def _section(column: int) -> list[bytes]:
    """Return the steps for one architecture; the number is loaded before them and after."""
    steps: list[bytes] = []
    for numbers in CALLS.values():
        number = numbers[column]
        if number is not None:
            steps += [instruction(JUMP_EQUAL, number, false=1), _REFUSE]
    # Its flags are out of a filter's sight. C libraries take clone(2) where there is none (Linux 5.3).
    steps += [instruction(JUMP_EQUAL, _CLONE3[column], false=1), instruction(RETURN, answer(errno.ENOSYS))]
    for numbers, flags in ((_CLONE, _NAMESPACES), (_UNSHARE, _NAMESPACES | _NEW_TIME)):
        steps += [
            instruction(JUMP_EQUAL, numbers[column], false=4),
            instruction(LOAD, ARGUMENTS),
            instruction(JUMP_SET, flags, false=1),
            _REFUSE,
            instruction(LOAD, NUMBER),
        ]
    return [
        *steps,
        instruction(JUMP_EQUAL, _SOCKET[column], false=4),
        instruction(LOAD, ARGUMENTS),
        instruction(JUMP_EQUAL, _VSOCK, false=1),
        _REFUSE,
        instruction(LOAD, NUMBER),
    ]


def beginning() -> list[bytes]:
    """Return the first steps of a filter: what they let pass is a 64-bit call, whose number is loaded."""
    narrow = _section(1)
    return [
        instruction(LOAD, ARCH),
        instruction(JUMP_EQUAL, ARCH_X86_64, true=len(narrow) + 4),
        # x86-64's kernel knows one other; whatever it may be, it is not known here.
        instruction(JUMP_EQUAL, ARCH_I386, true=1),
        instruction(RETURN, answer(errno.ENOSYS)),
        instruction(LOAD, NUMBER),
        *narrow,
        instruction(RETURN, RET_ALLOW),
        instruction(LOAD, NUMBER),
        instruction(JUMP_SET, _X32, false=1),
        instruction(RETURN, answer(errno.ENOSYS)),
        *_section(0),
    ]
