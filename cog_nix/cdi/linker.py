"""The dynamic linker's cache, ``/etc/ld.so.cache``: read, and written with libraries added.

The format is glibc's own (``sysdeps/generic/dl-cache.h``), the same since glibc 2.2: a header, entries in
descending order of their names, strings, and since 2.33 an extension with the names of hardware subfolders.
Before 2.32 an older table stands in front of it; the linker has always taken a file without. So a cache that
is written here is read by every glibc that an image may have, and no program of the image is run to make it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = "/etc/ld.so.cache"
X86_64 = 0x0303
"""FLAG_X8664_LIB64 and FLAG_ELF_LIBC6: what this machine's programs load."""

_OLD_MAGIC = b"ld.so-1.7.0\0"
_OLD_HEADER = struct.Struct("<12sI")
_OLD_ENTRY_SIZE = 12
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
_LITTLE_ENDIAN = 2
_EXTENSION_MAGIC = 0xEAA42174
_EXTENSION = struct.Struct("<II")
_SECTION = struct.Struct("<IIII")
_OFFSET = struct.Struct("<I")
_HARDWARE_SUBFOLDERS = 1
"""Tag of the section whose items are offsets of strings; the other one holds a text."""


@dataclass(frozen=True)
class _Entry:
    flags: int
    key: int
    """Offset of the name."""
    value: int
    """Offset of the path."""
    osversion: int
    hwcap: int


def entries(data: bytes) -> list[tuple[str, str]]:
    """Return ``(name, path)`` of the libraries for x86-64 in a cache, best first for each name.

    Args:
        data: the file; what is none, or a damaged one, has no libraries.
    """
    try:
        table, _ = _table(data)
        found = _entries(table)
        wanted = [one for one in found if one.flags == X86_64]
        return [(_text(table, one.key), _text(table, one.value)) for one in wanted]
    except (struct.error, ValueError):
        return []


def with_libraries(data: bytes, added: Sequence[tuple[str, str]]) -> bytes:
    """Return a cache that has these libraries as well; they are found before others of the same names.

    Args:
        data: the image's cache; one that cannot be read gives way to one with the new libraries alone, and
            the linker then looks for all others where it does without a cache.
        added: ``(soname, path)``.
    """
    delta = _ENTRY.size * len(added)
    try:
        table, before = _table(data)
        _, _, length, flags, extension = _HEADER.unpack_from(table)
        old = _entries(table)
        named = [(_text(table, one.key), one) for one in old]
        rest = _moved(table, len(old), delta, before)
        extension += delta - before if extension else 0
    except (struct.error, ValueError):
        named, rest, length, flags, extension = [], b"", 0, _LITTLE_ENDIAN, 0
    strings = bytearray()
    start = _HEADER.size + _ENTRY.size * (len(named) + len(added)) + len(rest)

    def string(text: str) -> int:
        offset = start + len(strings)
        strings.extend(text.encode() + b"\0")
        return offset

    new = [(name, _Entry(X86_64, string(name), string(path), 0, 0)) for name, path in added]
    moved = [
        (name, _Entry(one.flags, one.key + delta, one.value + delta, one.osversion, one.hwcap))
        for name, one in named
    ]
    # Python's sort keeps the new ones in front of the old ones of their name, in descending order too.
    ordered = sorted([*new, *moved], key=lambda pair: order(pair[0]), reverse=True)
    header = _HEADER.pack(_MAGIC, len(ordered), length + len(strings), flags, extension)
    body = b"".join(
        _ENTRY.pack(one.flags, one.key, one.value, one.osversion, one.hwcap) for _, one in ordered
    )
    return header + body + rest + bytes(strings)


def order(name: str) -> tuple[tuple[int, int], ...]:
    """Return what the linker compares of a name: numbers by their value, and above all other characters."""
    return tuple(
        (1, int(part)) if part.isdigit() else (0, ord(part)) for part in re.findall(r"[0-9]+|[^0-9]", name)
    )


def _table(data: bytes) -> tuple[bytes, int]:
    """Return the file from its new table on, and what stands before it.

    Offsets of strings count from that table, those of the extension from the file's start.
    """
    if not data.startswith(_OLD_MAGIC):
        return data, 0
    _, count = _OLD_HEADER.unpack_from(data)
    start = _OLD_HEADER.size + count * _OLD_ENTRY_SIZE
    start = (start + 7) // 8 * 8
    return data[start:], start


def _entries(table: bytes) -> list[_Entry]:
    magic, count, *_ = _HEADER.unpack_from(table)
    if magic != _MAGIC:
        raise ValueError(magic)
    return [_Entry(*_ENTRY.unpack_from(table, _HEADER.size + i * _ENTRY.size)) for i in range(count)]


def _text(table: bytes, offset: int) -> str:
    end = table.index(b"\0", offset)
    return table[offset:end].decode("utf-8", "surrogateescape")


def _moved(table: bytes, count: int, delta: int, before: int) -> bytes:
    """Return what follows the entries, with the offsets that its extension has ``delta`` bytes further on.

    Args:
        table: the file from its new table on.
        count: of entries.
        delta: how far it moves.
        before: bytes of the file that stood before the table and are left out.
    """
    start = _HEADER.size + count * _ENTRY.size
    rest = bytearray(table[start:])
    *_, extension = _HEADER.unpack_from(table)
    if not extension:
        return bytes(rest)
    extension -= before
    magic, sections = _EXTENSION.unpack_from(table, extension)
    if magic != _EXTENSION_MAGIC:
        raise ValueError(magic)
    for index in range(sections):
        at = extension + _EXTENSION.size + index * _SECTION.size
        tag, flags, absolute, size = _SECTION.unpack_from(table, at)
        offset = absolute - before
        _SECTION.pack_into(rest, at - start, tag, flags, offset + delta, size)
        if tag == _HARDWARE_SUBFOLDERS:
            for item in range(offset, offset + size, _OFFSET.size):
                (name,) = _OFFSET.unpack_from(table, item)
                _OFFSET.pack_into(rest, item - start, name + delta)
    return bytes(rest)
