"""Which part of a library holds no text, by its section headers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cog_nix.elf.sections import without_text
from tests.elf.made import make_elf, with_sections

_ELF = make_elf("libc.so.6", padding=100)


@dataclass
class _File:
    content: bytes

    def at(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        pytest.param((), (0, 0), id="none"),
        pytest.param(((".rodata", 900), (".data", 900)), (0, 0), id="text-alone"),
        pytest.param(((".rodata", 9), (".nv_fatbin", 500), (".data", 7)), (9, 509), id="kernels"),
        pytest.param(((".nv_fatbin", 50), (".rodata", 9), (".text", 60)), (59, 119), id="the-longest"),
        pytest.param(((".nv_fatbin", 50), (".eh_frame", 4), (".text", 9)), (0, 63), id="side-by-side"),
    ],
)
def test_the_longest_part_without_text(
    sections: tuple[tuple[str, int], ...], expected: tuple[int, int]
) -> None:
    file = _File(with_sections(_ELF, *((name, bytes(size)) for name, size in sections)))
    start, stop = (len(_ELF) + at if expected[1] else 0 for at in expected)
    assert without_text(file) == range(start, stop)


def test_files_without_sections_have_none() -> None:
    whole = with_sections(_ELF, (".nv_fatbin", bytes(500)))
    other_bits = whole[:4] + b"\1" + whole[5:]
    far_names = whole[:62] + b"\xff\xff" + whole[64:]
    far_section = whole[:-96] + b"\xff" * 16 + whole[-80:]
    for content in (b"", b"text", _ELF, whole[:300], other_bits, far_names, far_section):
        assert not without_text(_File(content))
