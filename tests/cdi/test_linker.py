"""The linker's cache, compared with what ldconfig makes and read by the linker itself."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cog_nix.cdi import linker
from cog_nix.elf import ldcache
from cog_nix.system.platforms import ARM64, BUILDER

from .conftest import compile_c

LDCONFIG = "/sbin/ldconfig"
_PROCESSOR = "AArch64" if BUILDER == ARM64 else "x86-64"
"""What ldconfig calls this machine's."""


@pytest.fixture(params=["new", "compat"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """A cache of a folder with libraries in plain and hardware folders, and the names in ldconfig's order."""
    folder = tmp_path / "lib"
    for name in ("libz10.so.1", "libz9.so.1", "libz.so.2", "libzz.so.1", "lib0.so.1"):
        compile_c("int x;", folder / name, "-shared", f"-Wl,-soname,{name}")
    hardware = folder / "glibc-hwcaps/x86-64-v2/libz.so.2"
    compile_c("int x;", hardware, "-shared", "-Wl,-soname,libz.so.2")
    path = tmp_path / "cache"
    (tmp_path / "conf").write_text(f"{folder}\n")
    command = [LDCONFIG, "-X", "-f", tmp_path / "conf", "-C", path, "-c", request.param]
    subprocess.run(command, check=True, capture_output=True)
    return path, shown(path)


def shown(cache: Path) -> list[str]:
    done = subprocess.run([LDCONFIG, "-p", "-C", cache], capture_output=True, text=True, check=True)
    lines = [line.strip() for line in done.stdout.splitlines()[1:] if "=>" in line]
    # ldconfig itself shows no name of a hardware folder when the older table stands in front.
    return [re.sub(r'hwcap: ".*"', "hwcap", line) for line in lines]


def test_entries_are_as_ldconfig_shows_them(cache: tuple[Path, list[str]]) -> None:
    path, lines = cache
    known = [line for line in lines if f",{_PROCESSOR}" in line]
    found = linker.entries(path.read_bytes())
    assert [(line.split()[0], line.split()[-1]) for line in known] == found
    assert [name for name, _ in found] == sorted((name for name, _ in found), key=ldcache.order, reverse=True)


def test_added_libraries_are_found_first(cache: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, lines = cache
    added = [("libcuda.so.1", "/x/libcuda.so.1"), ("libz9.so.1", "/x/libz9.so.1"), ("liba", "/x/a")]
    new = tmp_path / "new"
    new.write_bytes(linker.with_libraries(path.read_bytes(), added))
    after = shown(new)
    mine = [line for line in after if "/x/" in line]
    assert [line for line in after if line not in mine] == lines
    assert sorted((line.split()[0], line.split()[-1]) for line in mine) == sorted(added)
    of_z9 = [line.split()[-1] for line in after if line.startswith("libz9.so.1 ")]
    assert of_z9[0] == "/x/libz9.so.1"
    assert [line for line in after if "hwcap" in line] == [line for line in lines if "hwcap" in line]
    whole = subprocess.run([LDCONFIG, "-p", "-C", new], capture_output=True, text=True, check=True).stdout
    assert 'hwcap: "x86-64-v2"' in whole
    twice = tmp_path / "twice"
    twice.write_bytes(linker.with_libraries(new.read_bytes(), [("libq.so", "/y/libq.so")]))
    assert [line for line in shown(twice) if "/y/" not in line] == after


def test_the_host_s_own_cache_stays_whole(tmp_path: Path) -> None:
    before = Path(linker.PATH).read_bytes()
    (tmp_path / "new").write_bytes(linker.with_libraries(before, [("libcuda.so.1", "/x/libcuda.so.1")]))
    after = shown(tmp_path / "new")
    assert [line for line in after if "/x/" not in line] == shown(Path(linker.PATH))


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"glibc-ld.so.cache1.1", id="cut-header"),
        pytest.param(b"ld.so-1.7.0\0" + struct.pack("<I", 1 << 30), id="cut-old-table"),
        pytest.param(b"#!/bin/sh\n" * 20, id="something-else"),
    ],
)
def test_a_damaged_cache_gives_way(damaged: bytes, tmp_path: Path) -> None:
    assert linker.entries(damaged) == []
    path = tmp_path / "cache"
    path.write_bytes(linker.with_libraries(damaged, [("libcuda.so.1", "/x/libcuda.so.1")]))
    assert shown(path) == [f"libcuda.so.1 (libc6,{_PROCESSOR}) => /x/libcuda.so.1"]


def test_entries_that_point_nowhere(cache: tuple[Path, list[str]]) -> None:
    whole = cache[0].read_bytes()
    for size in range(0, len(whole), 97):
        linker.entries(whole[:size])
        linker.with_libraries(whole[:size], [("a", "b")])


NAMES = st.text("ab01.29-", min_size=1, max_size=8)


@given(st.lists(NAMES, unique=True, max_size=12), st.lists(NAMES, unique=True, max_size=4))
def test_order_and_content_survive(old: list[str], new: list[str]) -> None:
    first = linker.with_libraries(b"", [(name, f"/old/{name}") for name in old])
    both = linker.entries(linker.with_libraries(first, [(name, f"/new/{name}") for name in new]))
    assert sorted(both) == sorted([*((n, f"/old/{n}") for n in old), *((n, f"/new/{n}") for n in new)])
    keys = [ldcache.order(name) for name, _ in both]
    assert keys == sorted(keys, reverse=True)
    for name in set(old) & set(new):
        assert [path for known, path in both if known == name] == [f"/new/{name}", f"/old/{name}"]


@pytest.mark.root
def test_the_linker_reads_it(tmp_path: Path, compiled: Path) -> None:
    """In a mount namespace of its own, where the written cache is the system's."""
    library = next(compiled.glob("libcuda.so.*"))
    cache = linker.with_libraries(Path(linker.PATH).read_bytes(), [("libcuda.so.1", str(library))])
    (tmp_path / "cache").write_bytes(cache)
    script = 'mount --bind "$0" /etc/ld.so.cache && exec "$1" libcuda.so.1 libm.so.6'
    command = ["unshare", "--mount", "sh", "-c", script, str(tmp_path / "cache"), str(compiled / "probe")]
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "libcuda.so.1 found 12040\nlibm.so.6 found 0\n"
