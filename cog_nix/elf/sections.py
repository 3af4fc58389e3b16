"""Sections of an ELF file by their headers (System V ABI, chapter 4), and where in it no text stands.

Names of libraries that a program opens are data that it reads. Of what nobody reads as text there is far
more: kernels for GPUs are nine tenths of a large library.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cog_nix.elf.dynamic import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.elf.dynamic import Bytes

_HEADER = struct.Struct("<4sBB34xQ10xHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_CLASS_64, _LITTLE_ENDIAN = 2, 1
_NOT_IN_FILE = 8
"""SHT_NOBITS."""
_LARGEST_TABLE = 1 << 20
"""Bytes of the sections' names."""
_LARGEST_FILE = 1 << 40
"""Bytes; an offset beyond is damage."""
_WITHOUT_TEXT = frozenset(
    {
        *(b".nv_fatbin", b"__nv_relfatbin", b".nvFatBinSegment", b".hip_fatbin", b".hipFatBinSegment"),
        *(b".text", b".plt", b".plt.got", b".plt.sec", b".init", b".fini"),
        *(b".eh_frame", b".eh_frame_hdr", b".gcc_except_table", b".symtab"),
    }
)
"""Kernels, machine code, what unwinding needs, and symbols, whose names stand elsewhere."""


def without_text(file: Bytes) -> range:
    """Return the longest part of a file in which no text stands; empty where none is known.

    Args:
        file: a library.
    """
    best = run = range(0)
    for name, part in sorted(sections(file), key=lambda one: (one[1].start, one[1].stop)):
        # Bytes between two sections fill up to where the next one may begin.
        run = range(run.start if run else part.start, part.stop) if name in _WITHOUT_TEXT else range(0)
        best = max(best, run, key=len)
    return best


def sections(file: Bytes) -> Iterator[tuple[bytes, range]]:
    """Yield the sections that take room in a file; none where it is damaged or for other machines."""
    header = file.at(0, _HEADER.size)
    if len(header) < _HEADER.size:
        return
    magic, bits, order, start, entry, count, named_by = _HEADER.unpack(header)
    native = magic == MAGIC and bits == _CLASS_64 and order == _LITTLE_ENDIAN and start <= _LARGEST_FILE
    table = file.at(start, count * entry) if native and entry == _SECTION.size else b""
    rows = list(_SECTION.iter_unpack(table[: len(table) // _SECTION.size * _SECTION.size]))
    if named_by >= len(rows):
        return
    _, _, _, _, offset, size, *_ = rows[named_by]
    names = file.at(offset, size) if size <= _LARGEST_TABLE and offset <= _LARGEST_FILE else b""
    for at, kind, _, _, offset, size, *_ in rows:
        if kind != _NOT_IN_FILE and 0 < offset + size <= _LARGEST_FILE:
            yield names[at:].partition(b"\0")[0], range(offset, offset + size)
