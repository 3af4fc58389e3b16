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


def make_go(
    text: str,
    *,
    version: str = "go1.24.2",
    flags: int = 2,
    section: str = ".go.buildinfo",
    padding: int = 0,
) -> bytes:
    """Return an ELF file with what Go's linker writes into its programs.

    Args:
        text: the list of modules.
        version: Go's.
        flags: 2: the strings stand in the section.
        section: its name.
        padding: bytes of code before it.
    """

    def string(data: bytes) -> bytes:
        length, written = len(data), b""
        while length > 127:
            written, length = written + bytes([length % 128 + 128]), length // 128
        return written + bytes([length]) + data

    around = bytes(range(16))
    said = b"\xff Go buildinf:" + bytes([8, flags]) + bytes(16)
    said += string(version.encode()) + string(around + text.encode() + around)
    return with_sections(make_elf(), (".text", bytes(padding)), (section, said))


def with_sections(elf: bytes, *sections: tuple[str, bytes]) -> bytes:
    """Return an ELF file with more behind it: sections by name, their names, and the table of sections."""
    names = b"\0" + b"".join(f"{name}\0".encode() for name, _ in sections) + b".shstrtab\0"
    content, rows = bytearray(elf), [bytes(64)]
    for name, data in (*sections, (".shstrtab", names)):
        at = names.index(f"\0{name}\0".encode()) + 1
        rows.append(struct.pack("<IIQQQQIIQQ", at, 1, 0, 0, len(content), len(data), 0, 0, 1, 0))
        content += data
    content[40:48] = struct.pack("<Q", len(content))
    content[58:64] = struct.pack("<HHH", 64, len(rows), len(rows) - 1)
    return bytes(content) + b"".join(rows)
