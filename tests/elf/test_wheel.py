"""Programs and libraries of wheels."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from cog_nix.elf.scan import Linked, Scan
from cog_nix.elf.wheel import names_in_wheel, scan_wheel
from cog_nix.errors import LockError
from tests.elf.made import make_elf, make_wheel

if TYPE_CHECKING:
    from pathlib import Path


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
    assert scan_wheel(wheel, "0" * 64, tmp_path / "cache") == Scan(
        linked=(
            Linked("../../../bin/tool", ("libz.so.1",)),
            Linked("x/_c.cpython-313-x86_64-linux-gnu.so", ("libGL.so.1", "libx.so.2"), ("$ORIGIN/lib",)),
            Linked("x/lib/libx.so.2.0", ("libc.so.6",)),
        ),
        libraries=(
            "../../../lib/libdata.so",
            "x/_c.cpython-313-x86_64-linux-gnu.so",
            "x/lib/libx.so.2.0",
        ),
        sonames=("libx.so.2",),
    )


def test_a_wheel_is_read_once(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"x.so": make_elf("libGL.so.1")})
    first = scan_wheel(wheel, "1" * 64, tmp_path / "cache")
    wheel.unlink()
    assert scan_wheel(wheel, "1" * 64, tmp_path / "cache") == first


def test_a_broken_result_is_made_anew(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"x.so": make_elf("libGL.so.1")})
    first = scan_wheel(wheel, "1" * 64, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").rglob("*.json")
    kept.write_text("{")
    assert scan_wheel(wheel, "1" * 64, tmp_path / "cache") == first


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_unusual_compressions_are_read_as_well(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.whl", "w", method) as archive:
        archive.writestr("x.so", make_elf("libGL.so.1"))
    scan = scan_wheel(tmp_path / "x.whl", "4" * 64, tmp_path / "cache")
    assert scan.linked == (Linked("x.so", ("libGL.so.1",)),)


def test_names_are_had_without_inflating(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"nvidia/lib/libcublas.so.12": b"not looked at", "a.py": b""})
    assert names_in_wheel(wheel).names == {"libcublas.so.12"}


@pytest.mark.parametrize("end", [0, 100, -30], ids=["empty", "cut", "without-its-directory"])
def test_a_broken_wheel_is_named(tmp_path: Path, end: int) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"x.so": make_elf("libGL.so.1")})
    wheel.write_bytes(wheel.read_bytes()[:end])
    with pytest.raises(LockError, match=r"x\.whl: this wheel cannot be read"):
        scan_wheel(wheel, "2" * 64, tmp_path / "cache")
    with pytest.raises(LockError, match=r"x\.whl: this wheel cannot be read"):
        names_in_wheel(wheel)


def test_a_member_that_does_not_inflate_is_told(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "x.whl", {"x.so": make_elf("libGL.so.1")})
    data = bytearray(wheel.read_bytes())
    data[40:60] = b"\xff" * 20
    wheel.write_bytes(data)
    with pytest.raises(LockError, match="this wheel cannot be read"):
        scan_wheel(wheel, "3" * 64, tmp_path / "cache")


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
    assert list(Linked("a/b/c.so", (), (folder,)).reach("libx.so")) == [reached]
