"""The dynamic linker's cache, read and written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cog_nix.elf import ldcache

_NAMES = ["libb.so.9", "libb.so.10", "liba.so", "libb.so", "libA.so", "lib1.so", "liba-1.so", "liba.so.1.2"]


def test_what_is_written_is_read() -> None:
    cache = ldcache.Cache(
        (
            ldcache.Library("libz.so.1", "/lib/libz.so.1", 0x303, (1 << 62) | 1),
            ldcache.Library("libz.so.1", "/lib/libz.so.1.3"),
            ldcache.Library("libb.so.1", "/opt/ü/libb.so.1", 3),
        ),
        b"somebody wrote it",
        ("x86-64-v2", "x86-64-v3"),
    )
    assert ldcache.read(ldcache.write(cache)) == cache


def test_numbers_in_names_are_numbers_and_names_descend() -> None:
    written = ldcache.write(ldcache.Cache(tuple(ldcache.Library(name, f"/{name}") for name in _NAMES)))
    assert [library.name for library in ldcache.read(written).libraries] == [
        "lib1.so",
        "libb.so.10",
        "libb.so.9",
        "libb.so",
        "liba.so.1.2",
        "liba.so",
        "liba-1.so",
        "libA.so",
    ]


def test_of_two_with_one_name_the_first_stays_first() -> None:
    cache = ldcache.Cache(
        (ldcache.Library("liba.so", "/z/liba.so"), ldcache.Library("liba.so", "/a/liba.so"))
    )
    assert ldcache.read(ldcache.write(cache)).libraries == cache.libraries


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ld.so-1.7.0" + bytes(200),
        ldcache.write(ldcache.Cache((ldcache.Library("liba.so", "/liba.so"),)))[:70],
        ldcache.write(ldcache.Cache((), b"somebody")).replace(b"\x74\x21\xa4\xea", b"\0\0\0\0"),
    ],
    ids=["empty", "of-libc5", "cut-off", "other-extensions"],
)
def test_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(ldcache.NotACacheError):
        ldcache.read(data)


@pytest.mark.skipif(shutil.which("ldconfig", path="/usr/sbin:/sbin") is None, reason="there is no ldconfig")
def test_ldconfig_reads_what_is_written(tmp_path: Path) -> None:
    ldconfig = shutil.which("ldconfig", path="/usr/sbin:/sbin")
    assert ldconfig
    own = Path("/etc/ld.so.cache").read_bytes()
    copy = tmp_path / "cache"
    copy.write_bytes(ldcache.write(ldcache.read(own)))

    def listing(path: Path) -> list[str]:
        told = subprocess.run([ldconfig, "-p", "-C", path], capture_output=True, text=True, check=True)
        return told.stdout.splitlines()[1:]

    assert listing(copy) == listing(Path("/etc/ld.so.cache"))
    assert len(listing(copy)) > 10
