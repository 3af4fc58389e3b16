"""Of which modules a Go program was linked, as its linker writes into it (Go, ``debug/buildinfo``)."""

from __future__ import annotations

import struct
from typing import IO, NamedTuple

from cog_nix.elf.dynamic import MAGIC

SMALLEST = 1 << 20
"""Bytes of a program; Go's runtime alone has more."""
STANDARD_LIBRARY = "stdlib"
"""What scanners call it, by the version of Go."""

_IDENTITY = struct.Struct("<4sBB")
_HEADER = struct.Struct("<40xQ10xHHH")
_SECTION = struct.Struct("<I20xQQ24x")
_CLASS_64, _LITTLE_ENDIAN = 2, 1
_NAME = b".go.buildinfo\0"
_MAGIC = b"\xff Go buildinf:"
_FLAGS, _STRINGS = 15, 32
_INLINE = 2
"""Flag: the strings follow, each behind its length; since Go 1.18."""
_SENTINEL = 16
"""Bytes on both sides of the list of modules."""
_LARGEST = 16 << 20
_LONGEST_LENGTH = 5
"""Bytes of a length."""
_UNVERSIONED = "(devel)"


class Module(NamedTuple):
    """A Go module in a program."""

    path: str
    """``golang.org/x/sys``"""
    version: str
    """``v0.33.0``; "" where the linker was not told."""


def modules(program: IO[bytes]) -> tuple[Module, ...]:
    """Return the modules of a program, with what replaces them in place of what was replaced.

    Args:
        program: a file that can be sought in.

    Returns:
        Nothing for what is no Go program, or one that was linked before Go 1.18.
    """
    try:
        said = _section(program)
        if said[: len(_MAGIC)] != _MAGIC or not said[_FLAGS] & _INLINE:
            return ()
        version, rest = _string(said[_STRINGS:])
        text, _ = _string(rest)
    except (struct.error, IndexError):
        return ()
    go = version.decode("utf-8", "replace").partition(" ")[0].removeprefix("go")
    return (
        Module(STANDARD_LIBRARY, f"v{go}"),
        *_listed(text[_SENTINEL:-_SENTINEL].decode("utf-8", "replace")),
    )


def _section(program: IO[bytes]) -> bytes:
    """Return the section that Go's linker makes (System V ABI, chapter 4); nothing of a file without one."""
    start = program.read(64)
    if _IDENTITY.unpack_from(start) != (MAGIC, _CLASS_64, _LITTLE_ENDIAN):
        return b""
    place, size, count, names = _HEADER.unpack_from(start)
    if size != _SECTION.size:
        return b""
    table = [_SECTION.unpack(one) for one in _chunks(_at(program, place, size * count), size)]
    strings = _at(program, *table[names][1:])
    for name, offset, length in table:
        if strings.startswith(_NAME, name):
            return _at(program, offset, length)
    return b""


def _chunks(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _at(program: IO[bytes], offset: int, size: int) -> bytes:
    """Return bytes of a file; of a damaged one fewer."""
    if offset > 1 << 40:
        return b""
    program.seek(offset)
    return program.read(min(size, _LARGEST))


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Return the string at the start, whose length is in base 128 (``binary.Uvarint``), and what follows."""
    length = 0
    for number in range(_LONGEST_LENGTH):
        more, digit = divmod(data[number], 128)
        length += digit << 7 * number
        if not more:
            return data[number + 1 : number + 1 + length], data[number + 1 + length :]
    return b"", b""


def _listed(text: str) -> list[Module]:
    """Return the modules of a list (Go, ``debug.BuildInfo.String``)."""
    found: list[Module] = []
    for line in text.splitlines():
        match line.split("\t"):
            case ["mod" | "dep", path, version, *_]:
                found.append(Module(path, version if version != _UNVERSIONED else ""))
            case ["=>", path, version, *_] if found:
                found[-1] = Module(path, version)
            case _:
                pass
    return found
