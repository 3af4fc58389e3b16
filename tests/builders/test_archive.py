"""Fragments are the same bits whatever the weather, and tars that others read."""

from __future__ import annotations

import io
import os
import random
import stat
import tarfile
import time
from typing import TYPE_CHECKING, Any

import archive
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LONG = "/".join(["a-folder-with-a-long-name"] * 20)


def _entries() -> list[archive.Entry]:
    return [
        *archive.folders("usr/bin"),
        *archive.folders(_LONG),
        archive.Entry("usr/bin/tool", 0o4755, data=b"#!/bin/sh\n", uid=1, gid=42),
        archive.Entry("usr/bin/tool-2", 0o4755, tarfile.LNKTYPE, target="usr/bin/tool"),
        archive.Entry("usr/bin/t", 0o777, tarfile.SYMTYPE, target="tool"),
        archive.Entry("usr/bin/ünïcode 文件", 0o644, data=b"x" * 5000),
        archive.Entry(f"{_LONG}/deep", 0o600, data=b""),
        archive.Entry("usr/bin/link-to-far", 0o777, tarfile.SYMTYPE, target=f"/{_LONG}/deep"),
        archive.Entry("usr/bin/tab\there\nand\u2028there", 0o644, data=b"odd"),
    ]


def test_the_order_of_entries_does_not_matter(
    make_fragment: Callable[..., Path], read: Callable[..., Any]
) -> None:
    one = make_fragment("one", *_entries())
    shuffled = _entries()
    random.Random(7).shuffle(shuffled)  # noqa: S311 - any order will do
    other = make_fragment("other", *shuffled)
    assert read(one) == read(other)
    assert (one / "index.tsv").read_bytes() == (other / "index.tsv").read_bytes()


@pytest.mark.parametrize(
    ("umask", "mtime", "settings_of_the_machine"),
    [
        (0o022, 0, {"TZ": "UTC", "LC_ALL": "C"}),
        (0o077, 2_000_000_000, {"TZ": "Asia/Kathmandu", "LC_ALL": "de_DE.ISO8859-1"}),
    ],
    ids=["plain", "odd"],
)
def test_a_tree_gives_the_same_bits_under_any_umask_clock_zone_and_locale(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    umask: int,
    mtime: int,
    settings_of_the_machine: dict[str, str],
) -> None:
    for name, value in settings_of_the_machine.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    before = os.umask(umask)
    try:
        root = tmp_path / "tree"
        for name, text in (("B.py", "b"), ("a.py", "a"), ("ä/run.sh", "r"), ("_/x", "x")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            os.utime(root / name, (mtime, mtime))
        (root / "ä/run.sh").chmod(0o700)
        (root / "link").symlink_to("B.py")
        (root / "to-folder").symlink_to("_")
        archive.write_fragment(tmp_path / "out", archive.from_tree(root, "src"), "tree")
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert archive.describe([archive.whole(tmp_path / "out/files.tar")])["diff_id"] == (
        "sha256:53f1bf59b983e696a5b8450f6b4ace84445720453611f823633b3f78cd773ca3"
    )
    with tarfile.open(tmp_path / "out/files.tar", ignore_zeros=True) as tar:
        modes = {member.name: oct(member.mode) for member in tar}
    assert modes == {
        "src/B.py": "0o644",
        "src/_/x": "0o644",
        "src/a.py": "0o644",
        "src/link": "0o777",
        "src/to-folder": "0o777",
        "src/ä/run.sh": "0o755",
    }


def test_every_member_reads_back_as_it_was_given(
    make_fragment: Callable[..., Path], read: Callable[..., Any]
) -> None:
    layer = read(make_fragment("all", *_entries()))
    members = {member.name: member for member in layer.members()}
    for entry in _entries():
        found = members.pop(entry.path)
        assert (found.type, found.mode, found.linkname) == (entry.kind, entry.mode, entry.target)
        assert (found.uid, found.gid, found.uname, found.gname) == (entry.uid, entry.gid, "", "")
        assert found.mtime == archive.MTIME
        if entry.kind == tarfile.REGTYPE:
            assert layer.read(entry.path) == entry.data
    assert not members, "an entry that nobody gave"


_PATHS = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=130)
_ASCII = st.text(
    st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=230
)


@given(
    path=_PATHS | _ASCII,
    target=st.just("") | _PATHS | _ASCII,
    kind=st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
    mode=st.integers(0, 0o7777),
    owner=st.tuples(st.integers(0, 1 << 31), st.integers(0, 1 << 22)),
    data=st.binary(max_size=2000),
)
@settings(max_examples=300)
def test_headers_are_those_of_tarfile(
    *, path: str, target: str, kind: bytes, mode: int, owner: tuple[int, int], data: bytes
) -> None:
    linked = target if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    held = data if kind == tarfile.REGTYPE else b""
    entry = archive.Entry(path, mode, kind, data=held, target=linked, uid=owner[0], gid=owner[1])
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.mtime, info.linkname = kind, mode, archive.MTIME, linked
    info.size, (info.uid, info.gid) = len(held), owner
    expected = bytearray(info.tobuf(tarfile.PAX_FORMAT))
    header, size = archive._header(entry)
    assert size == len(held)
    assert header == expected


def test_the_time_is_one_that_zip_files_can_hold() -> None:
    assert time.gmtime(archive.MTIME)[:6] == (1980, 1, 1, 0, 0, 0)


def test_directories_stand_before_what_is_in_them_and_a_hard_link_behind_its_target(
    make_fragment: Callable[..., Path], read: Callable[..., Any]
) -> None:
    names = read(make_fragment("all", *_entries())).names()
    seen: set[str] = set()
    for name in names:
        parent = name.rpartition("/")[0]
        assert not parent or parent in seen
        seen.add(name)
    assert names.index("usr/bin/tool") < names.index("usr/bin/tool-2")


def test_a_path_given_twice_stands_there_once_as_it_was_given_last(
    make_fragment: Callable[..., Path], read: Callable[..., Any]
) -> None:
    layer = read(
        make_fragment(
            "twice",
            archive.Entry("etc", 0o755, tarfile.DIRTYPE),
            archive.Entry("etc/one", 0o644, data=b"first"),
            archive.Entry("etc", 0o700, tarfile.DIRTYPE),
            archive.Entry("etc/one", 0o600, data=b"second"),
        )
    )
    assert layer.names() == ["etc", "etc/one"]
    assert [oct(member.mode) for member in layer.members()] == ["0o700", "0o600"]
    assert layer.read("etc/one") == b"second"


def test_names_that_are_no_utf_8_survive(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    name = os.fsdecode(b"caf\xe9.txt")
    (root / name).write_text("latin")
    archive.write_fragment(tmp_path / "out", archive.from_tree(root, "src"), "tree")
    data = (tmp_path / "out/files.tar").read_bytes() + archive.END
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert [os.fsencode(found) for found in tar.getnames()] == [b"src/caf\xe9.txt"]
    assert archive.read_index(tmp_path / "out")[1][0][2] == f"src/{name}"


def test_the_index_names_the_bytes_of_each_entry(make_fragment: Callable[..., Path]) -> None:
    fragment = make_fragment("all", *_entries())
    directories, offsets = archive.read_index(fragment)
    whole = (fragment / "files.tar").read_bytes()
    assert [entry.path for entry in directories] == sorted(
        {entry.path for entry in _entries() if entry.kind == tarfile.DIRTYPE},
        key=lambda path: path.split("/"),
    )
    assert [end for _, end, _ in offsets[:-1]] == [start for start, _, _ in offsets[1:]]
    assert (offsets[0][0], offsets[-1][1]) == (0, len(whole))
    for start, end, path in offsets:
        with tarfile.open(fileobj=io.BytesIO(whole[start:end] + archive.END)) as tar:
            assert tar.getnames() == [path]


_NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in {".", ".."}
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(_NAMES, st.integers(0, 0o7777), st.integers(0, 1 << 31)), unique_by=lambda one: one[0])
)
def test_an_index_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, given_directories: list[tuple[str, int, int]]
) -> None:
    out = tmp_path_factory.mktemp("index")
    directories = [
        archive.Entry(path, mode, tarfile.DIRTYPE, uid=owner, gid=owner)
        for path, mode, owner in given_directories
    ]
    offsets = [(mode, mode + 512, path) for path, mode, _ in given_directories]
    archive.write_index(out, directories, offsets)
    assert archive.read_index(out) == (directories, offsets)


def test_a_file_larger_than_the_buffer_is_hashed_and_read_whole(
    tmp_path: Path, make_fragment: Callable[..., Path], read: Callable[..., Any]
) -> None:
    big = tmp_path / "big"
    content = random.Random(1).randbytes((1 << 20) * 2 + 17)  # noqa: S311 - any bytes will do
    big.write_bytes(content)
    layer = read(make_fragment("big", archive.Entry("big", 0o644, source=big)))
    assert layer.read("big") == content


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666, 0o755, 0o700, 0o2711])
def test_permissions_are_reduced_to_whether_the_owner_may_execute(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(mode)
    assert archive.normalised(path, "file").mode == (0o755 if mode & stat.S_IXUSR else 0o644)
