"""Names of libraries that stand in programs and libraries of a wheel as text: what they may load at run time.

A library that is opened by ``dlopen`` (POSIX) leaves no trace in the dynamic section, but its name has to be
somewhere. Only names with a version count (``libcublas.so.12``), the form in which a name is bound to an ABI.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cog_nix.elf.wheel import each_member, installed

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Iterator

    from cog_nix.elf.wheel import WheelFile

_LONGEST = 128
"""Bytes; so much of a chunk's end is looked at again with the next one."""
_AFTER = 8
"""Bytes behind a name that may belong to it."""
_MARK = b".so."
_STEM = 67
"""Bytes before the mark that a name may have."""
_COUNT = 10
"""Bytes behind the mark that tell where a name ends: seven of a count, a dot, and two that follow."""
_NAME = re.compile(
    rb"(?<![A-Za-z0-9_.+-])lib[A-Za-z0-9_+-]{2,64}\.so\.[0-9]{1,3}(?:\.[0-9]{1,4})?(?!\.?[0-9])"
)


def named_in_wheel(wheel: WheelFile, libraries: Iterable[zipfile.ZipInfo]) -> tuple[tuple[str, str], ...]:
    """Return ``(file, name)`` for each name of a library that stands in a library of a wheel, sorted.

    A file is named by where it lands, below ``site-packages``.

    Args:
        wheel: the wheel.
        libraries: its members to look into.

    Raises:
        Exception: one of :data:`cog_nix.elf.wheelfile.UNREADABLE`.
    """
    by_member = each_member(libraries, lambda info: _names(wheel.chunks(info)))
    return tuple(sorted((installed(info.filename), name) for info, names in by_member for name in names))


def _names(chunks: Iterable[bytes]) -> frozenset[str]:
    """Return the names in a file that comes in pieces."""
    seen: set[bytes] = set()
    last = b""
    for chunk in chunks:
        text = last + chunk
        # What stands at an end may go on beyond it. The next chunk, which begins earlier, has it whole.
        end = len(text) - _AFTER
        seen.update(found.group() for found in _found(text, last) if found.end() <= end)
        last = text[-_LONGEST:]
    seen.update(found.group() for found in _found(last, last))
    return frozenset(name.decode() for name in seen)


def _found(text: bytes, before: bytes) -> Iterator[re.Match[bytes]]:
    """Yield names; not one that the text begins with, when something was before that.

    What all of them have is looked for first, at the speed of memory; a regular expression takes a hundred
    times as long.
    """
    whole = len(before) < _LONGEST
    at = text.find(_MARK)
    while at >= 0:
        for found in _NAME.finditer(text, max(0, at - _STEM), at + len(_MARK) + _COUNT):
            if found.group().index(_MARK) + found.start() == at and (whole or found.start()):
                yield found
        at = text.find(_MARK, at + 1)
