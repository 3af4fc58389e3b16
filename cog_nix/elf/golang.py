"""Of which modules a Go program was linked, as its linker writes into it (Go, ``debug/buildinfo``)."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, NamedTuple

from cog_nix.elf.dynamic import Seekable
from cog_nix.elf.sections import sections

if TYPE_CHECKING:
    from cog_nix.elf.dynamic import Bytes

SMALLEST = 1 << 20
"""Bytes of a program; Go's runtime alone has more."""
STANDARD_LIBRARY = "stdlib"
"""What scanners call it, by the version of Go."""

_NAME = b".go.buildinfo"
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
        said = _section(Seekable(program))
        if said[: len(_MAGIC)] != _MAGIC or not said[_FLAGS] & _INLINE:
            return ()
        version, rest = _string(said[_STRINGS:])
        text, _ = _string(rest)
    except IndexError:
        return ()
    go = version.decode("utf-8", "replace").partition(" ")[0].removeprefix("go")
    return (
        Module(STANDARD_LIBRARY, f"v{go}"),
        *_listed(text[_SENTINEL:-_SENTINEL].decode("utf-8", "replace")),
    )


def _section(program: Bytes) -> bytes:
    """Return the section that Go's linker makes; nothing of a file without one."""
    for name, part in sections(program):
        if name == _NAME:
            return program.at(part.start, min(len(part), _LARGEST))
    return b""


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
