"""Programs and libraries of wheels."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from cog_nix.elf.facts import Depth, Facts, Known, Memory, read_facts
from cog_nix.elf.scan import DynamicFile, Scan
from cog_nix.elf.wheel import OnDisk
from cog_nix.errors import LockError
from tests.elf.made import make_elf, make_wheel

if TYPE_CHECKING:
    from pathlib import Path


def _links(wheel: Path) -> Scan:
    return read_facts(OnDisk(wheel), Depth.LINKS).scan


def test_a_wheel_is_read_without_unpacking_it(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path / "x.whl",
        {
            "x/_c.cpython-313-x86_64-linux-gnu.so": make_elf(
                "libGL.so.1", "libx.so.2", runpath="$ORIGIN/lib"
            ),
            "x/lib/libx.so.2.0": make_elf("libc.so.6", soname="libx.so.2", strings_first=False),
            "x/other.so": make_elf("liblog.so", machine=183),
            "x/musl.so": make_elf("libfoo.so.1", "libc.musl-x86_64.so.1"),
            "x-1.0.data/scripts/tool": make_elf("libz.so.1", kind=2),
            "x-1.0.data/data/lib/libdata.so": make_elf(),
            "x/__init__.py": b"\x7fELF is no Python",
            "x/lib/README": b"text",
        },
    )
    assert _links(wheel) == Scan(
        files=(
            DynamicFile("../../../bin/tool", ("libz.so.1",)),
            DynamicFile(
                "x/_c.cpython-313-x86_64-linux-gnu.so", ("libGL.so.1", "libx.so.2"), ("$ORIGIN/lib",)
            ),
            DynamicFile("x/lib/libx.so.2.0", ("libc.so.6",)),
        ),
        libraries=(
            "../../../lib/libdata.so",
            "x/_c.cpython-313-x86_64-linux-gnu.so",
            "x/lib/libx.so.2.0",
        ),
        sonames=("libx.so.2",),
    )


def test_what_was_read_is_remembered(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"x.so": make_elf("libGL.so.1") + b"\0libcublas.so.12\0"})
    memory = Memory(tmp_path / "cache")
    for depth in Depth:
        assert (known := memory.recall("1" * 64)) is None or known.at(depth) is None
        memory.remember("1" * 64, Known.of(read_facts(OnDisk(wheel), depth), depth))
    known = memory.recall("1" * 64)
    assert known
    assert [known.at(depth) for depth in Depth] == [read_facts(OnDisk(wheel), depth) for depth in Depth]
    (kept,) = (tmp_path / "cache").rglob("*.json")
    kept.write_text("{")
    assert memory.recall("1" * 64) is None


def test_what_was_read_whole_takes_the_place_of_what_was_read_in_parts(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"x.so": make_elf("libGL.so.1")})
    right, wrong = read_facts(OnDisk(wheel), Depth.LINKS), Facts(Scan(), (), ("other",))
    memory = Memory(tmp_path / "cache")
    for facts, whole in ((wrong, False), (right, True), (wrong, False)):
        memory.remember("1" * 64, Known.of(facts, Depth.LINKS, whole=whole))
    known = memory.recall("1" * 64)
    assert known
    assert known.at(Depth.LINKS) == right
    assert known.whole


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_unusual_compressions_are_read_as_well(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w", method) as archive:
        archive.writestr("x.so", make_elf("libGL.so.1"))
    scan = _links(tmp_path / "x.whl")
    assert scan.files == (DynamicFile("x.so", ("libGL.so.1",)),)


def test_names_are_had_without_inflating(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"nvidia/lib/libcublas.so.12": b"not looked at", "a.py": b""})
    assert read_facts(OnDisk(wheel), Depth.FILES).scan.names == {"libcublas.so.12"}


@pytest.mark.parametrize("end", [0, 100, -30], ids=["empty", "cut", "without-its-directory"])
def test_a_broken_wheel_is_named(tmp_path: Path, end: int) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"x.so": make_elf("libGL.so.1")})
    wheel.write_bytes(wheel.read_bytes()[:end])
    with pytest.raises(LockError, match=r"x\.whl: this wheel cannot be read"):
        _links(wheel)
    with pytest.raises(LockError, match=r"x\.whl: this wheel cannot be read"):
        read_facts(OnDisk(wheel), Depth.FILES)


def test_a_member_that_does_not_inflate_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"x.so": make_elf("libGL.so.1")})
    data = bytearray(wheel.read_bytes())
    data[40:60] = b"\xff" * 20
    wheel.write_bytes(data)
    with pytest.raises(LockError, match="this wheel cannot be read"):
        _links(wheel)


@pytest.mark.parametrize(
    ("folder", "reached"),
    [
        ("$ORIGIN", "a/b/libx.so"),
        ("$ORIGIN/../../c.libs", "c.libs/libx.so"),
        ("${ORIGIN}/lib", "a/b/lib/libx.so"),
        ("/opt/lib", "opt/lib/libx.so"),
    ],
)
def test_a_run_path_is_followed(folder: str, reached: str) -> None:
    assert list(DynamicFile("a/b/c.so", (), (folder,)).reach("libx.so")) == [reached]
