"""Names of libraries that stand in a wheel's files as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cog_nix.elf import names, wheel
from cog_nix.elf.facts import Depth, read_facts
from cog_nix.errors import LockError
from tests.elf.made import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


def _named(path: Path) -> tuple[tuple[str, str], ...]:
    return read_facts(wheel.OnDisk(path), Depth.TEXT).named


def test_versioned_names_are_found_in_libraries_alone(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path / "x.whl",
        {
            "x/a.so": b"\0libcublas.so.12\0no libcufft.so here\0libcudart.so.11.0\0mylibcudnn.so.9\0",
            "x/b.so.1": b"no libnccl.so.2: twice libnccl.so.2. \0libcudnn.so.9.1.0.70\0libnvrtc.so.12x\0",
            "x/names.py": b"libcusolver.so.11",
        },
    )
    found = _named(wheel)
    assert found == (
        ("x/a.so", "libcublas.so.12"),
        ("x/a.so", "libcudart.so.11.0"),
        ("x/b.so.1", "libnccl.so.2"),
        ("x/b.so.1", "libnvrtc.so.12"),
    )


@pytest.mark.parametrize("before", range(40, 72), ids=lambda before: f"{before}-bytes-before")
def test_a_name_is_whole_wherever_chunks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setattr(wheel, "_CHUNK", 64)
    made = make_wheel(tmp_path / "x.whl", {"x.so": b"\0" * before + b"libcudart.so.11.0" + b"\0" * 99})
    assert _named(made) == (("x.so", "libcudart.so.11.0"),)


@given(
    st.lists(
        st.sampled_from([b"lib", b"ab", b".so.", b".so", b".", b"1", b"12.3", b"+", b"\0", b" ", b"x" * 62])
    )
)
def test_looking_for_the_mark_first_finds_what_the_expression_alone_finds(parts: list[bytes]) -> None:
    text = b"".join(parts)
    quick = {found.span() for found in names._found(text, b"")}
    assert quick == {found.span() for found in names._NAME.finditer(text)}


def test_a_name_at_the_end_is_found(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"x.so": b"libcudart.so.12"})
    assert _named(wheel) == (("x.so", "libcudart.so.12"),)


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "x.whl"
    broken.write_bytes(b"no zip")
    with pytest.raises(LockError, match=r"x\.whl: this wheel cannot be read"):
        _named(broken)
