"""The dynamic linker's cache, ``/etc/ld.so.cache``, as ldconfig(8) of the GNU C library writes it.

The format (glibc, ``sysdeps/generic/dl-cache.h``, "glibc-ld.so.cache1.1", the same since 2.2): a header, an
entry for each library, the strings that these point to, and since 2.33 extensions: who wrote the file, and
the names of ``glibc-hwcaps`` folders. Entries stand in descending order of names, numbers in names compared
as numbers; of two with one name the linker takes the first. Before 2.32 an older table stands in front of
all this, which is passed over and not written: the linker has always taken a file without. So what is
written here is read by every glibc that an image may have, and no program of the image is run to make it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/etc/ld.so.cache"

_OLD_MAGIC = b"ld.so-1.7.0\0"
_OLD_HEADER = struct.Struct("<12sI")
_OLD_ENTRY_SIZE = 12
_MAGIC = b"glibc-ld.so.cache1.1"
_ALIGNMENT = 8
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
_EXTENSION_MAGIC = 0xEAA42174
_EXTENSIONS = struct.Struct("<II")
_SECTION = struct.Struct("<IIII")
_GENERATOR, _HWCAPS = 0, 1
_LITTLE_ENDIAN = 2
X86_64 = 0x0303
"""FLAG_X8664_LIB64 and FLAG_ELF_LIBC6: what this machine's programs load."""


class NotACacheError(ValueError):
    """The file is of another format."""


@dataclass(frozen=True)
class Library:
    """One entry."""

    name: str
    path: str
    flags: int = X86_64
    hwcap: int = 0
    """With bit 62 set, an index into the names of ``glibc-hwcaps`` folders."""
    osversion: int = 0
    """The oldest kernel that will do; glibc has looked at it up to 2.35."""


@dataclass(frozen=True)
class Cache:
    """A whole file."""

    libraries: tuple[Library, ...] = ()
    generator: bytes = b""
    """Who wrote it."""
    hwcaps: tuple[str, ...] = ()
    """Names of folders below ``glibc-hwcaps``."""


def libraries(data: bytes) -> tuple[Library, ...]:
    """Read the entries of a file, whatever its extensions are.

    Raises:
        NotACacheError: it is of another format.
    """
    try:
        table = data[_start(data) :]
        count, _ = _header(table)
        entries = (_ENTRY.unpack_from(table, _HEADER.size + index * _ENTRY.size) for index in range(count))
        return tuple(
            Library(_string(table, key), _string(table, value), flags, hwcap, osversion)
            for flags, key, value, osversion, hwcap in entries
        )
    except (struct.error, ValueError) as error:
        raise NotACacheError(f"it is damaged: {error}") from error


def read(data: bytes) -> Cache:
    """Read a file's contents.

    Raises:
        NotACacheError: they are of another format.
    """
    known = libraries(data)
    start = _start(data)
    table = data[start:]
    _, extension = _header(table)
    try:
        # Offsets of extensions count from the file's start, those of strings from the table's.
        sections = _sections(data, extension) if extension else {}
        names = struct.iter_unpack("<I", sections.get(_HWCAPS, b""))
        hwcaps = tuple(_string(table, offset) for (offset,) in names)
    except (struct.error, ValueError) as error:
        raise NotACacheError(f"it is damaged: {error}") from error
    return Cache(known, sections.get(_GENERATOR, b""), hwcaps)


def _start(data: bytes) -> int:
    """Return where the table begins: behind the older one, if there is one."""
    if not data.startswith(_OLD_MAGIC):
        return 0
    _, count = _OLD_HEADER.unpack_from(data)
    end: int = _OLD_HEADER.size + count * _OLD_ENTRY_SIZE
    return end + -end % _ALIGNMENT


def _header(table: bytes) -> tuple[int, int]:
    """Return the number of entries, and where the extensions are; 0: there are none."""
    magic, count, _, _, extension = _HEADER.unpack_from(table)
    if magic != _MAGIC:
        raise NotACacheError("it does not begin with glibc-ld.so.cache1.1")
    return count, extension


def reduced(data: bytes, there: Callable[[str], bool]) -> bytes:
    """Return a file without the libraries whose paths are not there; as it is when all are.

    Raises:
        NotACacheError: they are of another format.
    """
    known = read(data)
    kept = tuple(library for library in known.libraries if there(library.path))
    return write(replace(known, libraries=kept)) if kept != known.libraries else data


def _string(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode("utf-8", "surrogateescape")


def _sections(data: bytes, offset: int) -> dict[int, bytes]:
    magic, count = _EXTENSIONS.unpack_from(data, offset)
    if magic != _EXTENSION_MAGIC:
        raise NotACacheError("its extensions have another format")
    found = {}
    for index in range(count):
        tag, _, start, size = _SECTION.unpack_from(data, offset + _EXTENSIONS.size + index * _SECTION.size)
        found[tag] = data[start : start + size]
    return found


def write(cache: Cache) -> bytes:
    """Return a file's contents, entries in their order."""
    ordered = sorted(cache.libraries, key=lambda library: order(library.name), reverse=True)
    start = _HEADER.size + len(ordered) * _ENTRY.size
    strings = _Strings(start)
    entries = b"".join(
        _ENTRY.pack(one.flags, strings.add(one.name), strings.add(one.path), one.osversion, one.hwcap)
        for one in ordered
    )
    hwcaps = struct.pack(f"<{len(cache.hwcaps)}I", *map(strings.add, cache.hwcaps))
    text = bytes(strings.data)
    extension = (start + len(text) + 3) // 4 * 4
    header = _HEADER.pack(_MAGIC, len(ordered), len(text), _LITTLE_ENDIAN, extension)
    body = (header + entries + text).ljust(extension, b"\0")
    return body + _extensions(extension, {_GENERATOR: cache.generator, _HWCAPS: hwcaps})


def _extensions(offset: int, sections: dict[int, bytes]) -> bytes:
    """Return the extensions; a section without contents is left out."""
    filled = {tag: data for tag, data in sections.items() if data}
    position = offset + _EXTENSIONS.size + len(filled) * _SECTION.size
    table, contents = b"", b""
    # Four bytes' alignment is what names of folders need: they go first.
    for tag, data in sorted(filled.items(), reverse=True):
        table = _SECTION.pack(tag, 0, position + len(contents), len(data)) + table
        contents += data
    return _EXTENSIONS.pack(_EXTENSION_MAGIC, len(filled)) + table + contents


class _Strings:
    """The strings of a file, each once.

    Args:
        start: where in the file they begin.
    """

    def __init__(self, start: int) -> None:
        self.data = bytearray()
        self._start = start
        self._known: dict[str, int] = {}

    def add(self, text: str) -> int:
        """Return the offset of a string."""
        if text not in self._known:
            self._known[text] = self._start + len(self.data)
            self.data += text.encode("utf-8", "surrogateescape") + b"\0"
        return self._known[text]


def order(name: str) -> tuple[tuple[int, int], ...]:
    """Return what names are ordered by: numbers as numbers, and after every other character."""
    parts = re.findall(r"\d+|\D", name, re.ASCII)
    return tuple((1, int(part)) if part.isdecimal() else (0, ord(part)) for part in parts)
