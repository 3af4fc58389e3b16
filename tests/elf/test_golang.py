"""Of which modules Go programs were linked."""

from __future__ import annotations

import io

import pytest

from cog_nix.elf.golang import Module, modules
from tests.elf.made import make_elf, make_go

_LIST = """\
path\texample.org/tool
mod\texample.org/tool\t(devel)\t
dep\texample.org/one\tv1.2.3\th1:aaaa=
dep\texample.org/Two\tv0.1.0
=>\texample.org/fork/two\tv0.2.0+incompatible\th1:bbbb=
build\t-trimpath=true
"""


@pytest.mark.parametrize("padding", [0, 7, 4096])
def test_the_list_is_read(padding: int) -> None:
    assert modules(io.BytesIO(make_go(_LIST, padding=padding))) == (
        Module("stdlib", "v1.24.2"),
        Module("example.org/tool", ""),
        Module("example.org/one", "v1.2.3"),
        Module("example.org/fork/two", "v0.2.0+incompatible"),
    )


def test_what_goes_with_a_version_of_go_is_not_part_of_it() -> None:
    (found,) = modules(io.BytesIO(make_go("", version="go1.26.8 X:jsonv2")))
    assert found == Module("stdlib", "v1.26.8")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"#!/bin/sh\n" + bytes(200), id="a-script"),
        pytest.param(make_elf("libc.so.6"), id="c"),
        pytest.param(make_go(_LIST, section=".go.buildinf0"), id="no-section"),
        pytest.param(make_go(_LIST, flags=0), id="before-1.18"),
    ],
)
def test_other_files_have_none(data: bytes) -> None:
    assert modules(io.BytesIO(data)) == ()


def test_damage_is_no_failure() -> None:
    whole = make_go(_LIST)
    for length in range(len(whole)):
        assert isinstance(modules(io.BytesIO(whole[:length])), tuple)
