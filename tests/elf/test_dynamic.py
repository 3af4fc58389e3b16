"""What an ELF file tells the loader, read from streams that only go forward."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cog_nix.elf.dynamic import Dynamic, read_dynamic
from tests.elf.made import make_elf


class _Once:
    """A stream that counts what was read of it."""

    opened = 0
    taken = 0

    def __init__(self, data: bytes) -> None:
        type(self).opened += 1
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        type(self).taken += len(data)
        return data

    def skip(self, size: int) -> None:
        assert size >= 0, "only forward"
        self._file.seek(size, io.SEEK_CUR)


def _read(data: bytes) -> Dynamic | None:
    return read_dynamic(lambda: _Once(data))


@pytest.mark.parametrize("strings_first", [True, False], ids=["as-linkers-write-it", "as-patchelf-writes-it"])
def test_names_are_read_wherever_the_strings_stand(strings_first: bool) -> None:  # noqa: FBT001 - a parameter
    data = make_elf(
        "libGL.so.1",
        "libc.so.6",
        soname="libx.so.1",
        runpath="$ORIGIN/../lib:/opt",
        strings_first=strings_first,
    )
    found = _read(data)
    assert found == Dynamic(("libGL.so.1", "libc.so.6"), "libx.so.1", ("$ORIGIN/../lib", "/opt"))


def test_strings_behind_the_section_cost_one_pass_and_little_else() -> None:
    _Once.opened = _Once.taken = 0
    _read(make_elf("libGL.so.1", *(f"lib{index}.so" for index in range(50)), strings_first=False))
    assert _Once.opened == 1
    assert _Once.taken < 10_000


def test_a_run_path_takes_the_place_of_the_older_one() -> None:
    assert _read(make_elf(rpath="/old", runpath="/new")) == Dynamic((), "", ("/new",))
    assert _read(make_elf(rpath="/old")) == Dynamic((), "", ("/old",))


def test_a_static_program_needs_nothing() -> None:
    assert _read(make_elf()) == Dynamic()


@pytest.mark.parametrize(
    "data",
    [
        make_elf("libc.so.6", machine=183),
        make_elf("libc.so.6", bits=1),
        make_elf("libc.so.6", kind=1),
        b"#!/bin/sh\necho hello\n" * 10,
        b"\x7fELF",
        b"",
        make_elf("libc.so.6")[:150],
        make_elf("libc.so.6", strings_first=False)[:-8],
        make_elf("libc.so.6")[:32] + b"\xff" * 8 + make_elf("libc.so.6")[40:],
    ],
    ids=[
        "arm",
        "32-bit",
        "object-file",
        "text",
        "magic-alone",
        "empty",
        "cut-in-headers",
        "cut-in-strings",
        "an-offset-beyond-all-files",
    ],
)
def test_what_is_not_loaded_here_is_nothing(data: bytes) -> None:
    assert _read(data) is None


def test_the_interpreter_of_this_test_is_read() -> None:
    import _socket  # noqa: PLC0415 - any extension module does

    found = _read(Path(_socket.__file__ or sys.executable).read_bytes())
    assert found is not None
    assert "libc.so.6" in found.needed


@given(st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    whole = bytearray(make_elf("libGL.so.1", soname="libx.so", runpath="$ORIGIN", padding=64))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = _read(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    assert found is None or isinstance(found, Dynamic)
