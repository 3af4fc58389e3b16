"""Shared libraries made by hand: a header, program headers, a dynamic section and its strings."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BASE = 0x400000


def make_elf(
    *needed: str,
    soname: str = "",
    runpath: str = "",
    rpath: str = "",
    strings_first: bool = True,
    padding: int = 300_000,
    machine: int = 62,
    kind: int = 3,
    bits: int = 2,
) -> bytes:
    """Return an ELF file that names these libraries.

    Args:
        needed: DT_NEEDED, in order.
        soname: DT_SONAME.
        runpath: DT_RUNPATH.
        rpath: DT_RPATH.
        strings_first: whether the strings stand before the dynamic section, as linkers write them, or behind
            it, as patchelf does.
        padding: bytes of code between the two.
        machine: e_machine.
        kind: e_type.
        bits: the class: 1 or 2, for 32 and 64 bits.
    """
    strings = b"\0"
    entries = []
    for tag, text in [*((1, name) for name in needed), (14, soname), (29, runpath), (15, rpath)]:
        if text:
            entries.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    headers = 64 + 2 * 56
    size = 16 * (len(entries) + 2)
    strings_at = headers if strings_first else headers + padding + size
    dynamic_at = headers + len(strings) + padding if strings_first else headers + padding
    dynamic = b"".join(struct.pack("<qQ", *entry) for entry in [*entries, (5, _BASE + strings_at), (0, 0)])
    total = headers + len(strings) + padding + size
    ident = bytes([0x7F, *b"ELF", bits, 1, 1]) + bytes(9)
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, kind, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, total, total, 4096)
    segment = struct.pack("<IIQQQQQQ", 2, 6, dynamic_at, _BASE + dynamic_at, 0, size, size, 8)
    code = (bytes(range(251)) * (padding // 251 + 1))[:padding]
    parts = [strings, code, dynamic] if strings_first else [code, dynamic, strings]
    return header + load + segment + b"".join(parts)


def make_wheel(path: Path, members: Mapping[str, bytes], *, modes: Mapping[str, int] | None = None) -> Path:
    """Write a zip archive, every second member stored as it is."""
    with zipfile.ZipFile(path, "w") as archive:
        for index, (name, data) in enumerate(members.items()):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_STORED if index % 2 else zipfile.ZIP_DEFLATED
            info.external_attr = (modes or {}).get(name, 0o644) << 16
            archive.writestr(info, data)
    return path
