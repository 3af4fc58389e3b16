"""System calls by name: their numbers on the processors that builders run on.

x86-64's kernel takes 32-bit calls as well, at any time, by numbers of their own. AArch64's may, and is not
asked for them: what is for 32-bit Arm gets no answer in a build.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# linux/audit.h
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
_COLUMNS = (X86_64, I386, AARCH64)
HERE = AARCH64 if os.uname().machine == "aarch64" else X86_64
"""What this builder's own calls are made for."""

# By name: number on each of them; None: there is none. syscall_64.tbl, syscall_32.tbl, asm-generic/unistd.h
NUMBERS: dict[str, tuple[int | None, int | None, int | None]] = {
    "acct": (163, 51, 89),
    "add_key": (248, 286, 217),
    "bpf": (321, 357, 280),
    "chmod": (90, 15, None),
    "chown": (92, 182, None),
    "clock_adjtime": (305, 343, 266),
    "clock_adjtime64": (None, 405, None),
    "clock_settime": (227, 264, 112),
    "clock_settime64": (None, 404, None),
    "clone": (56, 120, 220),
    "clone3": (435, 435, 435),
    "delete_module": (176, 129, 106),
    "fanotify_init": (300, 338, 262),
    "fchmod": (91, 94, 52),
    "fchmodat": (268, 306, 53),
    "fchmodat2": (452, 452, 452),
    "fchown": (93, 95, 55),
    "fchownat": (260, 298, 54),
    "fdatasync": (75, 148, 83),
    "finit_module": (313, 350, 273),
    "fsconfig": (431, 431, 431),
    "fsetxattr": (190, 228, 7),
    "fsmount": (432, 432, 432),
    "fsopen": (430, 430, 430),
    "fspick": (433, 433, 433),
    "fsync": (74, 118, 82),
    "init_module": (175, 128, 105),
    "io_uring_enter": (426, 426, 426),
    "io_uring_register": (427, 427, 427),
    "io_uring_setup": (425, 425, 425),
    "ioperm": (173, 101, None),
    "iopl": (172, 110, None),
    "kexec_file_load": (320, None, 294),
    "kexec_load": (246, 283, 104),
    "keyctl": (250, 288, 219),
    "lchown": (94, 16, None),
    "lookup_dcookie": (212, 253, 18),
    "lsetxattr": (189, 227, 6),
    "mknod": (133, 14, None),
    "mknodat": (259, 297, 33),
    "mount": (165, 21, 40),
    "mount_setattr": (442, 442, 442),
    "move_mount": (429, 429, 429),
    "msync": (26, 144, 227),
    "open_by_handle_at": (304, 342, 265),
    "open_tree": (428, 428, 428),
    "open_tree_attr": (467, 467, 467),
    "perf_event_open": (298, 336, 241),
    "pivot_root": (155, 217, 41),
    "quotactl": (179, 131, 60),
    "quotactl_fd": (443, 443, 443),
    "reboot": (169, 88, 142),
    "request_key": (249, 287, 218),
    "setdomainname": (171, 121, 162),
    "setfsgid": (123, 139, 152),
    "setfsuid": (122, 138, 151),
    "setgid": (106, 46, 144),
    "setgroups": (116, 81, 159),
    "sethostname": (170, 74, 161),
    "setns": (308, 346, 268),
    "setregid": (114, 71, 143),
    "setresgid": (119, 170, 149),
    "setresuid": (117, 164, 147),
    "setreuid": (113, 70, 145),
    "settimeofday": (164, 79, 170),
    "setuid": (105, 23, 146),
    "setxattr": (188, 226, 5),
    "socket": (41, 359, 198),
    "stime": (None, 25, None),
    "swapoff": (168, 115, 225),
    "swapon": (167, 87, 224),
    "sync": (162, 36, 81),
    "sync_file_range": (277, 314, 84),
    "syncfs": (306, 344, 267),
    "syslog": (103, 103, 116),
    "umount": (None, 22, None),
    "umount2": (166, 52, 39),
    "unshare": (272, 310, 97),
    "userfaultfd": (323, 374, 282),
    "vhangup": (153, 111, 58),
    "vm86": (None, 166, None),
    "vm86old": (None, 113, None),
}


def numbers(names: Iterable[str], machine: int = HERE) -> dict[str, int]:
    """Return the numbers of those calls that a processor has, by name.

    Args:
        names: of calls.
        machine: :data:`X86_64`, :data:`I386` or :data:`AARCH64`.
    """
    column = _COLUMNS.index(machine)
    found = {name: NUMBERS[name][column] for name in names}
    return {name: number for name, number in found.items() if number is not None}
