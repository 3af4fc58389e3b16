"""Reading Debian packages that were made by hand, by deb(5)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import deb
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FILES = {"./usr/bin/tool": b"#!/bin/sh\n", "./usr/share/doc/some/copyright": b"free" * 1000, "./odd": b"x"}


def _info(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.mtime = kind, mode, target, 1_700_000_000
    return info


def _members() -> list[tuple[tarfile.TarInfo, bytes]]:
    return [
        (_info("./", tarfile.DIRTYPE, 0o755), b""),
        (_info("./usr/", tarfile.DIRTYPE, 0o755), b""),
        *((_info(name), data) for name, data in _FILES.items()),
        (_info("./usr/bin/link", tarfile.SYMTYPE, 0o777, "tool"), b""),
        (_info("./usr/bin/hard", tarfile.LNKTYPE, 0o644, "./usr/bin/tool"), b""),
    ]


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"], ids=["plain", "gz", "bz2", "xz"])
def test_every_member_is_read_whatever_the_compression(make_deb: Callable[..., Path], suffix: str) -> None:
    found = {}
    for info, tar in deb.data(make_deb(*_members(), suffix=suffix)):
        found[info.name] = (info.type, info.linkname, deb.content(info, tar).read() if info.isreg() else b"")
    assert found == {
        "usr": (tarfile.DIRTYPE, "", b""),
        **{name.removeprefix("./"): (tarfile.REGTYPE, "", data) for name, data in _FILES.items()},
        "usr/bin/link": (tarfile.SYMTYPE, "tool", b""),
        "usr/bin/hard": (tarfile.LNKTYPE, "./usr/bin/tool", b""),
    }


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"], ids=["plain", "gz", "bz2", "xz"])
def test_a_decompressed_package_is_the_same_package(
    make_deb: Callable[..., Path], tmp_path: Path, suffix: str
) -> None:
    package = make_deb(*_members(), suffix=suffix)
    deb.decompress(package, tmp_path / "plain.deb")
    with (tmp_path / "plain.deb").open("rb") as stream:
        names = [name for name, _ in deb._members(stream, "plain.deb")]
    assert names == ["debian-binary", "control.tar.gz", "data.tar"]
    assert [info.get_info() for info, _ in deb.data(tmp_path / "plain.deb")] == [
        info.get_info() for info, _ in deb.data(package)
    ]


def test_files_are_copied_out_of_a_decompressed_package(
    make_deb: Callable[..., Path], tmp_path: Path
) -> None:
    deb.decompress(make_deb(*_members(), suffix=".xz"), tmp_path / "plain.deb")
    for info, tar in deb.data(tmp_path / "plain.deb"):
        if info.isreg():
            with (tmp_path / "copy").open("wb") as sink:
                deb.copy(info, tar, sink.fileno())
            assert (tmp_path / "copy").read_bytes() == _FILES.get(info.name, _FILES.get(f"./{info.name}"))


def test_a_package_that_ends_too_early_is_noticed(make_deb: Callable[..., Path], tmp_path: Path) -> None:
    plain = tmp_path / "plain.deb"
    deb.decompress(make_deb(*_members()), plain)
    info, tar = next(pair for pair in deb.data(plain) if pair[0].isreg())
    os.truncate(plain, info.offset_data + 1)
    with plain.open("rb") as stream, (tmp_path / "copy").open("wb") as sink:
        tar.fileobj = stream
        with pytest.raises(deb.DebError, match=r"usr/bin/tool is cut short"):
            deb.copy(info, tar, sink.fileno())


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="there is no dpkg-deb here")
def test_dpkg_reads_what_was_decompressed(make_deb: Callable[..., Path], tmp_path: Path) -> None:
    deb.decompress(make_deb(*_members()), tmp_path / "plain.deb")
    listed = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(tmp_path / "plain.deb")], capture_output=True, check=True
    ).stdout
    (tmp_path / "listed.tar").write_bytes(listed)
    with tarfile.open(tmp_path / "listed.tar") as tar:
        assert "./usr/bin/tool" in tar.getnames()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "x.deb is not a Debian package"),
        (b"PK\x03\x04 no ar archive at all", "x.deb is not a Debian package"),
        (b"!<arch>\n", "x.deb has no data archive"),
        (b"!<arch>\nshort header", "x.deb is damaged"),
        (b"!<arch>\n" + b"debian-binary   0           0     0     100644  many      `\n", "x.deb is damaged"),
    ],
    ids=["empty", "another-format", "no-members", "cut-header", "size-no-number"],
)
def test_what_is_no_package_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "x.deb").write_bytes(content)
    with pytest.raises(deb.DebError) as error:
        list(deb.data(tmp_path / "x.deb"))
    assert str(error.value) == sentence


@pytest.mark.parametrize("suffix", [".zst", ".odd"])
def test_a_compression_that_nobody_here_reads_is_named(make_deb: Callable[..., Path], suffix: str) -> None:
    with pytest.raises(deb.DebError, match=rf"some_1_all.deb: cannot read data.tar\{suffix}"):
        list(deb.data(make_deb(*_members(), suffix=suffix)))


def test_a_folder_has_no_content(make_deb: Callable[..., Path]) -> None:
    members = deb.data(make_deb(*_members()))
    info, tar = next(members)
    with pytest.raises(deb.DebError, match="usr is not a regular file"):
        deb.content(info, tar)


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("usr/share/doc/bash/README", True),
        ("usr/share/doc/bash/deeply/nested/file", True),
        ("usr/share/doc/bash/copyright", False),
        ("usr/share/man/man1/bash.1.gz", True),
        ("usr/share/locale/de/LC_MESSAGES/bash.mo", True),
        ("usr/share/locale/locale.alias", False),
        ("usr/share/documents/file", False),
        ("usr/lib/x86_64-linux-gnu/gconv/EBCDIC-AT-DE.so", True),
        ("usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", False),
        ("usr/bin/tini", False),
        ("usr/bin/tini-static", True),
    ],
)
def test_documentation_stays_out_and_licences_stay_in(path: str, out: bool) -> None:  # noqa: FBT001 - a parameter
    assert deb.left_out(path) is out


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("usr/lib/python3.13/test/support/__init__.py", True),
        ("usr/lib/python3/dist-packages/x/test/y.py", True),
        ("usr/lib/python3.13/unittest/case.py", False),
        ("usr/lib/python3.13/pydoc_data/topics.py", True),
        ("usr/lib/python3.13/pydoc_data/__init__.py", False),
        ("usr/lib/python3.13/lib-dynload/_testcapi.cpython-313-x86_64-linux-gnu.so", True),
        ("usr/lib/python3.13/lib-dynload/_ctypes.cpython-313-x86_64-linux-gnu.so", False),
    ],
)
def test_what_is_pruned_after_configuring(path: str, gone: bool) -> None:  # noqa: FBT001 - a parameter
    assert deb.pruned(path) is gone
