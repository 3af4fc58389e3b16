"""Splitting an installed system by package, and what of its state an image may leave out."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import archive
import cleanup
import deb
import debs
import dpkg
import entries
import failure
import namespace
import pytest
import snapshot
import splitter
import state
from ownership import Ownership, identify

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a system with two packages, as dpkg leaves it."""
    folder = tmp_path / "root"
    for name in (
        "usr/bin",
        "etc",
        "var/lib/dpkg/info",
        "tmp/left",
        "var/log/apt",
        "var/log/service",
        "run/sshd",
        "etc/ssh",
    ):
        (folder / name).mkdir(parents=True)
    for name, text in {
        "usr/bin/bash": "bash",
        "usr/bin/passwd": "passwd",
        "etc/shadow": "root:*",
        "etc/made-by-a-script": "made",
        "etc/passwd-": "backup",
        "tmp/left/behind": "x",
        "run/lock": "x",
        "etc/ssh/ssh_host_rsa_key": "secret",
        "etc/ssh/sshd_config": "x",
        "var/log/service/own.log": "when",
        "var/log/dpkg.log": "when",
        "var/lib/dpkg/info/bash.list": "/.\n/bin\n/bin/bash\n/etc\n",
        "var/lib/dpkg/info/passwd:amd64.list": "/.\n/usr\n/usr/bin\n/usr/bin/passwd\n/usr/bin/again\n",
    }.items():
        (folder / name).write_text(text)
    (folder / "usr/bin/again").hardlink_to(folder / "usr/bin/passwd")
    (folder / "usr/bin/sh").symlink_to("bash")
    return folder


def _deb(path: Path, make_deb: Callable[..., Path], *members: tuple[str, bytes, int, str]) -> debs.Package:
    """Write a package of ``(name, kind, mode, link target or text)``, without compression."""
    written = []
    for name, kind, mode, text in members:
        info = tarfile.TarInfo(name)
        info.type, info.mode = kind, mode
        info.linkname = "" if kind == tarfile.REGTYPE else text
        written.append((info, text.encode() if kind == tarfile.REGTYPE else b""))
    deb.decompress(make_deb(*written), path)
    return {"name": path.stem, "output": path.stem, "path": str(path), "always": True}


def test_packages_are_put_in_place_by_hand(make_deb: Callable[..., Path], tmp_path: Path) -> None:
    one = _deb(
        tmp_path / "one.deb",
        make_deb,
        ("./bin/", tarfile.DIRTYPE, 0o755, ""),
        ("./bin/tool", tarfile.REGTYPE, 0o4755, "first"),
        ("./usr/share/secret/", tarfile.DIRTYPE, 0o500, ""),
        ("./usr/share/secret/file", tarfile.REGTYPE, 0o600, "x"),
        ("./usr/share/doc/one/README", tarfile.REGTYPE, 0o644, "left out"),
        ("./bin/hard", tarfile.LNKTYPE, 0o755, "./bin/tool"),
    )
    two = _deb(
        tmp_path / "two.deb",
        make_deb,
        ("./usr/bin/tool", tarfile.REGTYPE, 0o755, "second"),
        ("./usr/bin/hard", tarfile.SYMTYPE, 0o777, "tool"),
        ("./usr/bin/empty", tarfile.REGTYPE, 0o644, ""),
    )
    root = tmp_path / "system"
    root.mkdir()
    found, paths = debs.unpack_by_hand([one, two], root)
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert files == {"usr/bin/tool", "usr/bin/hard", "usr/bin/empty", "usr/share/secret/file"}
    assert (root / "bin").readlink() == Path("usr/bin")
    assert (root / "usr/bin/tool").read_text() == "second", "a later one takes the place"
    assert (root / "usr/bin/hard").readlink() == Path("tool")
    modes = [(root / name).stat().st_mode & 0o7777 for name in ("usr/bin/tool", "usr/share/secret")]
    assert modes == [0o755, 0o700]
    assert found["usr/bin/tool"].mode == 0o4755, "the first that has it tells"
    assert paths == [
        ["usr/bin/tool", "usr/share/secret", "usr/share/secret/file", "usr/bin/hard"],
        ["usr/bin/tool", "usr/bin/hard", "usr/bin/empty"],
    ]


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
    assert dpkg.merged(path) == follows


@pytest.mark.parametrize(
    ("package", "files"),
    [
        ("bash", ["bin", "usr/bin/bash", "etc"]),
        ("passwd", ["usr", "usr/bin", "usr/bin/passwd", "usr/bin/again"]),
    ],
    ids=["plain-name", "with-architecture"],
)
def test_dpkgs_database_says_whose_a_file_is(root: Path, package: str, files: list[str]) -> None:
    assert dpkg.package_files(root, package) == files


def test_owners_and_setuid_bits_come_from_the_package(root: Path) -> None:
    (root / "usr/bin/passwd").chmod(0o755)
    split = splitter.Splitter(root, {"usr/bin/passwd": deb.Attributes(0, 42, 0o4755)})
    entry = split.entry("usr/bin/passwd")
    assert entry is not None
    assert (entry.uid, entry.gid, oct(entry.mode)) == (0, 42, "0o4755")


def test_the_second_name_of_a_file_is_a_hard_link_within_its_package(root: Path) -> None:
    split = splitter.Splitter(root, {})
    both = [entry for path in ("usr/bin/passwd", "usr/bin/again") if (entry := split.entry(path))]
    assert [(one.kind, one.target) for one in entries.hard_linked(both)] == [
        (tarfile.REGTYPE, ""),
        (tarfile.LNKTYPE, "usr/bin/again"),
    ]
    (other,) = entries.hard_linked(both[:1])
    assert other.kind == tarfile.REGTYPE, "a link may not reach into another fragment"


def test_what_is_no_file_link_or_folder_has_no_entry(root: Path) -> None:
    os.mkfifo(root / "tmp/fifo")
    split = splitter.Splitter(root, {})
    assert split.entry("tmp/fifo") is None
    assert split.entry("not/there") is None
    link = split.entry("usr/bin/sh")
    assert link is not None
    assert (link.kind, link.target) == (tarfile.SYMTYPE, "bash")


def test_shadow_belongs_to_its_group_and_everything_else_to_root(root: Path) -> None:
    split = splitter.Splitter(root, {})
    groups = {path: split.entry(path) for path in ("etc/shadow", "etc/made-by-a-script")}
    assert {path: entry.gid for path, entry in groups.items() if entry} == {
        "etc/shadow": 42,
        "etc/made-by-a-script": 0,
    }


def test_clocks_logs_and_backups_are_cleaned_away(root: Path) -> None:
    cleanup.clean_installation(root)
    left = {path for path, _ in snapshot.walk(root)}
    gone = {"tmp/left", "var/log/dpkg.log", "etc/passwd-", "run/lock", "etc/ssh/ssh_host_rsa_key"}
    assert left & gone == set()
    assert {"tmp", "var/log/apt", "etc/shadow", "usr/bin/bash", "run/sshd", "etc/ssh/sshd_config"} <= left
    assert (root / "var/log/service/own.log").read_bytes() == b""


def test_what_a_script_asked_for_counts_most(root: Path) -> None:
    asked = Ownership()
    path = root / "usr/bin/passwd"
    path.chmod(0o750)
    asked.chown(identify(str(path)), 7, -1, folder=False)
    asked.chmod(identify(str(path)), 0o2750)
    asked.allow(identify(str(path)), b"\1\xff")
    asked.update(asked.dump())
    split = splitter.Splitter(root, {"usr/bin/passwd": deb.Attributes(0, 42, 0o4755)}, asked)
    entry = split.entry("usr/bin/passwd")
    assert entry is not None
    assert (entry.uid, entry.gid, oct(entry.mode), entry.capability) == (7, 42, "0o2750", "\1\xff")


def test_a_new_owner_takes_special_bits_away_from_files_alone() -> None:
    asked = Ownership()
    for inode, folder in enumerate((True, False)):
        asked.chmod((0, 0, inode, 0), 0o2755)
        asked.chown((0, 0, inode, 0), 5, 5, folder=folder)
    assert [row[-2] for row in json.loads(asked.dump())] == [0o2000, 0]


def test_folders_made_writable_for_the_build_get_their_mode_back(root: Path) -> None:
    (root / "etc/ssh").chmod(0o755)
    (root / "run/sshd").chmod(0o700)
    split = splitter.Splitter(root, {"etc/ssh": deb.Attributes(3, 4, 0o2055)})
    modes = {path: split.entry(path) for path in ("etc/ssh", "run/sshd")}
    assert {path: (oct(one.mode), one.uid, one.gid) for path, one in modes.items() if one} == {
        "etc/ssh": ("0o2055", 3, 4),
        "run/sshd": ("0o700", 0, 0),
    }


def test_a_lower_system_keeps_its_owners(tmp_path: Path) -> None:
    made = [
        archive.Entry("srv", 0o2775, tarfile.DIRTYPE, gid=50),
        archive.Entry("srv/tool", 0o4711, data=b"x", uid=3),
        archive.Entry("srv/plain", 0o444, data=b"x"),
    ]
    archive.write_fragment(tmp_path / "lower", made, "lower")
    (tmp_path / "root").mkdir()
    known = debs.unpack_lower([str(tmp_path / "lower")], tmp_path / "root")
    assert known == {"srv": deb.Attributes(0, 50, 0o2775), "srv/tool": deb.Attributes(3, 0, 0o4711)}
    modes = {path: oct(info.st_mode & 0o7777) for path, info in snapshot.walk(tmp_path / "root")}
    assert modes == {"srv": "0o775", "srv/tool": "0o711", "srv/plain": "0o444"}


def test_a_drawn_identity_is_replaced_by_one_that_the_packages_give(root: Path) -> None:
    machine = root / "etc/machine-id"
    machine.write_text("drawn")
    (root / "var/lib/dbus").mkdir()
    (root / "var/lib/dbus/machine-id").symlink_to("/etc/machine-id")
    cleanup.name_machine(root, b"packages")
    first = machine.read_text()
    assert (len(first), first[12], first.strip().isalnum()) == (33, "4", True)
    cleanup.name_machine(root, b"packages")
    assert machine.read_text() == first
    cleanup.name_machine(root, b"other packages")
    assert machine.read_text() != first
    machine.unlink()
    machine.touch()
    cleanup.name_machine(root, b"packages")
    assert machine.read_text() == "", "an empty one is to be filled in when the system starts"


def test_folders_of_fonts_are_those_of_the_settings(root: Path) -> None:
    for folder in ("usr/share/fonts/a", "usr/local/share/fonts", "etc/fonts/conf.d"):
        (root / folder).mkdir(parents=True)
    (root / "etc/fonts/fonts.conf").write_text(
        '<dir>/usr/share/fonts</dir><dir prefix="xdg">x</dir><dir>~/.fonts</dir><dir>/usr/X11/fonts/</dir>'
    )
    (root / "etc/fonts/conf.d/10-local.conf").write_text("<dir>\n/usr/local/share/fonts/\n</dir>")
    found = cleanup.font_folders(root)
    assert set(found) == {"usr/local/share/fonts", "usr/share/fonts", "usr/share/fonts/a"}
    debs.date_folders(root, found)
    assert {(root / path).stat().st_mtime_ns for path in found} == {archive.MTIME * 10**9}


def test_the_walk_is_in_one_order(root: Path) -> None:
    walked = [path for path, _ in snapshot.walk(root)]
    assert walked == [path for path, _ in snapshot.walk(root)]
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


def test_packages_that_are_not_wholly_installed_are_told() -> None:
    assert state.unfinished(_STATUS) == []
    half = _STATUS.replace(
        b"Package: login\nStatus: install ok installed", b"Package: login\nStatus: install ok half-configured"
    )
    assert state.unfinished(half) == ["login"]
    waiting = _STATUS.replace(
        b"Package: login\nStatus: install ok installed",
        b"Package: login\nStatus: install ok triggers-pending",
    )
    assert state.unfinished(waiting) == ["login"]


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
        dpkg.STATUS: _STATUS,
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
        archive.Entry(dpkg.STATUS, 0o644, source=root / dpkg.STATUS),
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
        dpkg.STATUS,
        state.CACHE,
        "var/lib/dpkg/info/login.list",
        "var/lib/dpkg/info/login:amd64.md5sums",
        "etc/alternatives/log",
        "usr/bin/log",
        "var/lib/dpkg/alternatives/log",
    }
    assert {entry.path for entry in without} == {
        dpkg.STATUS,
        state.CACHE,
        "var/lib/dpkg/info/bash.list",
        "var/lib/dpkg/info",
        "etc/alternatives/sh",
    }
    texts = {entry.path: entry.data for entry in without if entry.path in {dpkg.STATUS, state.CACHE}}
    assert texts[state.CACHE] == b"cache of the rest"
    assert b"Package: login\nStatus" not in texts[dpkg.STATUS]
    assert {entry.data for entry in beside if entry.path == state.CACHE} == {b"cache of all"}


def test_a_failed_ldconfig_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "run", lambda *_arguments: 1)
    with pytest.raises(failure.BuildError, match="ldconfig ended with status 1"):
        state._cache_without(tmp_path, set())


def test_what_a_later_run_removes_is_hidden_once_and_at_its_top() -> None:
    hidden = entries.whiteouts({"usr/bin/tool", "opt", "opt/old", "opt/old/file", "top"})
    assert {entry.path for entry in hidden} == {"usr/bin/.wh.tool", ".wh.opt", ".wh.top"}
    assert all(entry.data == b"" and entry.source is None for entry in hidden)
