"""Splitting an installed system by package, and what of its state an image may leave out."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

import archive
import deb
import debs
import namespace
import pytest
import state

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a system with two packages, as dpkg leaves it."""
    folder = tmp_path / "root"
    for name in ("usr/bin", "etc", "var/lib/dpkg/info", "tmp/left", "var/log/apt"):
        (folder / name).mkdir(parents=True)
    for name, text in {
        "usr/bin/bash": "bash",
        "usr/bin/passwd": "passwd",
        "etc/shadow": "root:*",
        "etc/made-by-a-script": "made",
        "etc/passwd-": "backup",
        "tmp/left/behind": "x",
        "var/log/dpkg.log": "when",
        "var/lib/dpkg/info/bash.list": "/.\n/bin\n/bin/bash\n/etc\n",
        "var/lib/dpkg/info/passwd:amd64.list": "/.\n/usr\n/usr/bin\n/usr/bin/passwd\n/usr/bin/again\n",
    }.items():
        (folder / name).write_text(text)
    (folder / "usr/bin/again").hardlink_to(folder / "usr/bin/passwd")
    (folder / "usr/bin/sh").symlink_to("bash")
    return folder


@pytest.mark.parametrize(
    ("path", "follows"),
    [
        ("bin/sh", "usr/bin/sh"),
        ("lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"),
        ("bin", "bin"),
        ("usr/bin/sh", "usr/bin/sh"),
        ("binary/file", "binary/file"),
        ("etc/bin/x", "etc/bin/x"),
    ],
)
def test_paths_follow_the_merged_usr_links(path: str, follows: str) -> None:
    assert debs.merged(path) == follows


@pytest.mark.parametrize(
    ("package", "files"),
    [
        ("bash", ["bin", "usr/bin/bash", "etc"]),
        ("passwd", ["usr", "usr/bin", "usr/bin/passwd", "usr/bin/again"]),
    ],
    ids=["plain-name", "with-architecture"],
)
def test_dpkgs_database_says_whose_a_file_is(root: Path, package: str, files: list[str]) -> None:
    assert debs.package_files(root, package) == files


def test_owners_and_setuid_bits_come_from_the_package(root: Path) -> None:
    splitter = debs.Splitter(root, {"usr/bin/passwd": deb.Attributes(0, 42, 0o4755)})
    entry = splitter.entry("usr/bin/passwd", "passwd")
    assert entry is not None
    assert (entry.uid, entry.gid, oct(entry.mode)) == (0, 42, "0o4755")


def test_the_second_name_of_a_file_is_a_hard_link_within_its_package(root: Path) -> None:
    splitter = debs.Splitter(root, {})
    kinds = [splitter.entry(path, group) for path, group in (("usr/bin/again", "p"), ("usr/bin/passwd", "p"))]
    assert [(one.kind, one.target) for one in kinds if one] == [
        (tarfile.REGTYPE, ""),
        (tarfile.LNKTYPE, "usr/bin/again"),
    ]
    other = splitter.entry("usr/bin/passwd", "another package")
    assert other is not None
    assert other.kind == tarfile.REGTYPE, "a link may not reach into another fragment"


def test_what_is_no_file_link_or_folder_has_no_entry(root: Path) -> None:
    os.mkfifo(root / "tmp/fifo")
    splitter = debs.Splitter(root, {})
    assert splitter.entry("tmp/fifo", "") is None
    assert splitter.entry("not/there", "") is None
    link = splitter.entry("usr/bin/sh", "")
    assert link is not None
    assert (link.kind, link.target) == (tarfile.SYMTYPE, "bash")


def test_shadow_belongs_to_its_group_and_everything_else_to_root(root: Path) -> None:
    splitter = debs.Splitter(root, {})
    groups = {path: splitter.entry(path, "") for path in ("etc/shadow", "etc/made-by-a-script")}
    assert {path: entry.gid for path, entry in groups.items() if entry} == {
        "etc/shadow": 42,
        "etc/made-by-a-script": 0,
    }


def test_clocks_logs_and_backups_are_cleaned_away(root: Path) -> None:
    debs.clean(root)
    left = {path for path, _ in debs._walk(root)}
    assert left & {"tmp/left", "var/log/dpkg.log", "var/log/apt", "etc/passwd-"} == set()
    assert {"tmp", "var/log", "etc/shadow", "usr/bin/bash"} <= left


def test_the_walk_is_in_one_order(root: Path) -> None:
    walked = [path for path, _ in debs._walk(root)]
    assert walked == [path for path, _ in debs._walk(root)]
    assert len(walked) == len(set(walked))
    for path in walked:
        parent = path.rpartition("/")[0]
        assert not parent or walked.index(parent) < walked.index(path)


_STATUS = b"""\
Package: bash
Status: install ok installed
Description: a shell
 Package: login is not meant here

Package: login
Status: install ok installed

Package: perl-base
Status: install ok installed

"""


def test_stanzas_of_other_packages_stay_as_they_are() -> None:
    kept = state.status_without(_STATUS, {"login", "perl-base"})
    assert kept == _STATUS.partition(b"Package: login\nStatus")[0]
    assert state.status_without(_STATUS, set()) == _STATUS


def _link(path: str, target: str) -> archive.Entry:
    return archive.Entry(path, 0o777, tarfile.SYMTYPE, target=target)


def test_state_is_divided_by_the_packages_it_belongs_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path
    for path, data in {
        state.STATUS: _STATUS,
        state.CACHE: b"cache of all",
        "usr/bin/login": b"login",
        "usr/bin/shared": b"both",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    def ldconfig(root: Path, command: list[str], environment: dict[str, str], binds: dict[str, Path]) -> int:  # noqa: ARG001 - as the real one
        assert command == ["/usr/sbin/ldconfig"]
        assert not (root / "usr/bin/login").exists(), "it runs when the files are gone"
        assert (root / "usr/bin/shared").exists()
        (root / state.CACHE).write_bytes(b"cache of the rest")
        return 0

    monkeypatch.setattr(namespace, "run", ldconfig)
    entries = [
        archive.Entry(state.STATUS, 0o644, source=root / state.STATUS),
        archive.Entry(state.CACHE, 0o644, source=root / state.CACHE),
        archive.Entry("var/lib/dpkg/info/bash.list", 0o644),
        archive.Entry("var/lib/dpkg/info/login.list", 0o644),
        archive.Entry("var/lib/dpkg/info/login:amd64.md5sums", 0o644),
        archive.Entry("var/lib/dpkg/info", 0o755, tarfile.DIRTYPE),
        _link("etc/alternatives/log", "/usr/bin/login"),
        _link("usr/bin/log", "/etc/alternatives/log"),
        archive.Entry("var/lib/dpkg/alternatives/log", 0o644),
        _link("etc/alternatives/sh", "/bin/bash"),
    ]
    files = {"bash": {"usr/bin/bash", "usr/bin/shared"}, "login": {"usr/bin/login", "usr/bin/shared"}}
    without, beside = state.divide(root, entries, files, {"login"})
    assert {entry.path for entry in beside} == {
        state.STATUS,
        state.CACHE,
        "var/lib/dpkg/info/login.list",
        "var/lib/dpkg/info/login:amd64.md5sums",
        "etc/alternatives/log",
        "usr/bin/log",
        "var/lib/dpkg/alternatives/log",
    }
    assert {entry.path for entry in without} == {
        state.STATUS,
        state.CACHE,
        "var/lib/dpkg/info/bash.list",
        "var/lib/dpkg/info",
        "etc/alternatives/sh",
    }
    texts = {entry.path: entry.data for entry in without if entry.path in {state.STATUS, state.CACHE}}
    assert texts[state.CACHE] == b"cache of the rest"
    assert b"Package: login\nStatus" not in texts[state.STATUS]
    assert {entry.data for entry in beside if entry.path == state.CACHE} == {b"cache of all"}


def test_a_failed_ldconfig_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "run", lambda *_arguments: 1)
    with pytest.raises(SystemExit, match="cog-nix: ldconfig ended with status 1"):
        state._cache_without(tmp_path, set())


def test_what_a_later_run_removes_is_hidden_once_and_at_its_top() -> None:
    entries = debs.whiteouts({"usr/bin/tool", "opt", "opt/old", "opt/old/file", "top"})
    assert {entry.path for entry in entries} == {"usr/bin/.wh.tool", ".wh.opt", ".wh.top"}
    assert all(entry.data == b"" and entry.source is None for entry in entries)
