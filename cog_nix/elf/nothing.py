"""A program that does nothing and needs no libraries: what a container is tried with."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cog_nix.system.platforms import BUILDER

if TYPE_CHECKING:
    from pathlib import Path

NAME = "nothing"
_EXITS = {
    62: bytes.fromhex("31ff 6a3c 58 0f05"),  # x86-64: edi = 0, rax = 60, syscall
    183: bytes.fromhex("000080d2 a80b80d2 010000d4"),  # AArch64: x0 = 0, x8 = 93, svc
}
"""``exit(0)``, by ``e_machine`` (elf.h)."""
_ADDRESS, _HEADERS = 0x400000, 64 + 56


def write(folder: Path, machine: int = BUILDER.elf_machine) -> None:
    """Write the program (elf(5)) into a folder, as :data:`NAME`.

    Args:
        folder: where to.
        machine: ``e_machine`` of the processor that it is for; this machine's where nothing is said.
    """
    code = _EXITS[machine]
    size = _HEADERS + len(code)
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", identity, 2, machine, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)
    path = folder / NAME
    path.write_bytes(header + segment + code)
    path.chmod(0o755)
