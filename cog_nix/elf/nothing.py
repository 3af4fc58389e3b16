"""A program that does nothing and needs no libraries: what a container is tried with."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "nothing"
_EXIT = bytes.fromhex("31ff 6a3c 58 0f05")
"""``exit(0)`` of x86-64: edi = 0, rax = 60, syscall."""
_ADDRESS, _HEADERS = 0x400000, 64 + 56


def write(folder: Path) -> None:
    """Write the program (elf(5)) into a folder, as :data:`NAME`."""
    size = _HEADERS + len(_EXIT)
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", identity, 2, 62, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)
    path = folder / NAME
    path.write_bytes(header + segment + _EXIT)
    path.chmod(0o755)
