"""The dynamic section of an ELF file (System V ABI, chapters 4 and 5), read from a stream that goes forward.

A member of a wheel is deflated: to see its byte n, all bytes before n are inflated. So nothing is read that
the loader would not read either: the header, the program headers, the dynamic section and the strings that it
names, in most files in that order. Section headers, which stand at a file's end, are never touched.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from cog_nix.system.platforms import AMD64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAGIC = b"\x7fELF"

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_ENTRY = struct.Struct("<qQ")
_CLASS_64, _LITTLE_ENDIAN = 2, 1
_LOADABLE = (2, 3)
"""ET_EXEC and ET_DYN: what the kernel or the loader maps. Object files and core dumps are neither."""
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 14, 15, 29
_LONGEST_STRING = 4096
_MOST_ENTRIES = 65536
_LARGEST_FILE = 1 << 40
"""Bytes; an offset beyond is damage."""


class Stream(Protocol):
    """What can be read once, from the start."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""

    def skip(self, size: int, /) -> None:
        """Go forward."""


@dataclass(frozen=True)
class Dynamic:
    """What a file tells the loader."""

    needed: tuple[str, ...] = ()
    """DT_NEEDED: sonames, in their order."""
    soname: str = ""
    """DT_SONAME."""
    search: tuple[str, ...] = ()
    """Folders of DT_RUNPATH, or of DT_RPATH where there is none, with ``$ORIGIN`` as it stands there."""


class NotElfError(Exception):
    """The file is not what this machine's loader loads, or it is damaged."""


class Bytes(Protocol):
    """A file whose bytes are had by their place."""

    def at(self, offset: int, size: int, /) -> bytes:
        """Return the bytes of a range; fewer where the file ends."""


class Seekable:
    """A file that can be sought in.

    Args:
        file: open.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def at(self, offset: int, size: int, /) -> bytes:
        """Return the bytes of a range; fewer where the file ends."""
        self._file.seek(offset)
        return self._file.read(size)


def read_dynamic(reopen: Callable[[], Stream], machine: int = AMD64.elf_machine) -> Dynamic | None:
    """Read one file that goes forward.

    Args:
        reopen: returns the file from its start; called again only when something stands before what was read.
        machine: ``e_machine`` of the processor whose programs count (elf.h).

    Returns:
        What it tells the loader, or None when it is no program or library for that, or a damaged one.
    """
    return dynamic_of(_Forward(reopen), machine)


def dynamic_of(file: Bytes, machine: int = AMD64.elf_machine) -> Dynamic | None:
    """Read one file.

    Args:
        file: the file.
        machine: ``e_machine`` of the processor whose programs count (elf.h).

    Returns:
        What it tells the loader, or None when it is no program or library for that, or a damaged one.
    """
    try:
        return _read(file, machine)
    except (NotElfError, struct.error):
        return None


class _Forward:
    """Reads at offsets. What was read last is kept; going back behind that costs a fresh start."""

    def __init__(self, reopen: Callable[[], Stream]) -> None:
        self._reopen = reopen
        self._stream = reopen()
        self._start = 0
        self._last = b""

    def at(self, offset: int, size: int, /) -> bytes:
        """Return the bytes of a range; fewer where the file ends."""
        if offset < self._start:
            self._stream, self._start, self._last = self._reopen(), 0, b""
        position = self._start + len(self._last)
        if offset > position:
            self._stream.skip(offset - position)
            self._start, self._last = offset, b""
        else:
            self._start, self._last = offset, self._last[offset - self._start :]
        missing = size - len(self._last)
        if missing > 0:
            self._last += self._stream.read(missing)
        return self._last[:size]


def _read(file: Bytes, wanted: int) -> Dynamic:
    header = file.at(0, _HEADER.size)
    if header[:4] != MAGIC:
        raise NotElfError
    ident, kind, machine, _, _, start, _, _, _, entry_size, count, *_ = _HEADER.unpack(header)
    native = ident[4] == _CLASS_64 and ident[5] == _LITTLE_ENDIAN and machine == wanted
    if not native or kind not in _LOADABLE or entry_size != _PROGRAM_HEADER.size:
        raise NotElfError
    table = _at(file, start, count * entry_size)
    if len(table) < count * entry_size:
        raise NotElfError
    loads: list[tuple[int, int, int]] = []
    dynamic = (0, 0)
    for each in _PROGRAM_HEADER.iter_unpack(table):
        segment, _, offset, address, _, size, *_ = each
        if segment == _PT_LOAD:
            loads.append((address, offset, size))
        elif segment == _PT_DYNAMIC:
            dynamic = (offset, size)
    return _entries(file, *dynamic, loads) if dynamic[1] else Dynamic()


def _at(file: Bytes, offset: int, size: int) -> bytes:
    if offset > _LARGEST_FILE:
        raise NotElfError
    return file.at(offset, size)


def _entries(file: Bytes, offset: int, size: int, loads: Iterable[tuple[int, int, int]]) -> Dynamic:
    raw = _at(file, offset, min(size, _MOST_ENTRIES * _ENTRY.size))
    found: list[tuple[int, int]] = []
    strings = 0
    for tag, value in _ENTRY.iter_unpack(raw[: len(raw) // _ENTRY.size * _ENTRY.size]):
        if tag == _DT_NULL:
            break
        if tag == _DT_STRTAB:
            strings = value
        elif tag in (_DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_RUNPATH):
            found.append((tag, value))
    if not found:
        return Dynamic()
    base = _file_offset(strings, loads)
    # In the file's order: patchelf puts the names that it adds behind all others.
    text = {value: _string(file, base + value) for value in sorted({value for _, value in found})}
    return _dynamic(found, text)


def _dynamic(found: Iterable[tuple[int, int]], text: Mapping[int, str]) -> Dynamic:
    by_tag: dict[int, list[str]] = {}
    for tag, value in found:
        by_tag.setdefault(tag, []).append(text[value])
    paths = by_tag.get(_DT_RUNPATH) or by_tag.get(_DT_RPATH) or []
    return Dynamic(
        needed=tuple(name for name in dict.fromkeys(by_tag.get(_DT_NEEDED, ())) if name),
        soname=next(iter(by_tag.get(_DT_SONAME, ())), ""),
        search=tuple(folder for path in paths for folder in path.split(":") if folder),
    )


def _file_offset(address: int, loads: Iterable[tuple[int, int, int]]) -> int:
    for start, offset, size in loads:
        if start <= address < start + size:
            return address - start + offset
    raise NotElfError


def _string(file: Bytes, offset: int) -> str:
    text, end, _ = _at(file, offset, _LONGEST_STRING).partition(b"\0")
    if not end:
        raise NotElfError
    return text.decode("utf-8", "replace")
