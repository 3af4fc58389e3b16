"""The parts of the builder that runs commands, each by itself."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import archive
import changes
import cleanup
import distributions
import git_index
import installed
import overlay
import pytest
import recompile
import run
import snapshot
import unpack

from cog_nix.elf import ldcache
from cog_nix.run_commands import difference

if TYPE_CHECKING:
    from pathlib import Path


def fragment(folder: Path, *entries: archive.Entry) -> Path:
    archive.write_fragment(folder, [*entries], folder.name)
    return folder


def file(path: str, data: bytes = b"", mode: int = 0o644) -> archive.Entry:
    return archive.Entry(path, mode, data=data)


LONG = f"{'d' * 90}/{'f' * 120}"


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    return fragment(
        tmp_path / "lower",
        *archive.folders("usr/bin"),
        *archive.folders("d" * 90),
        file("usr/bin/tool", b"tool", 0o4755),
        archive.Entry("usr/bin/tool2", 0o4755, tarfile.LNKTYPE, target="usr/bin/tool"),
        file(LONG, b"x" * 70_000),
        archive.Entry("link", 0o777, tarfile.SYMTYPE, target="é" * 120),
        file("etc-shadow", b"s", 0o640),
    )


def test_fragments_are_laid_over_each_other(tmp_path: Path, lower: Path) -> None:
    upper = fragment(
        tmp_path / "upper", *archive.folders("link"), file("usr/.wh.bin"), file("link/now", b"a folder")
    )
    root = tmp_path / "root"
    root.mkdir()
    view = unpack.unpack([lower, upper], root)
    assert set(view.files) == {LONG, "link/now", "etc-shadow"}
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) == sorted(
        view.files
    )
    assert (root / LONG).read_bytes() == view.contents(LONG) == b"x" * 70_000
    assert (root / LONG).stat().st_mtime == archive.MTIME


def test_a_folder_may_come_after_what_is_in_it(tmp_path: Path) -> None:
    early = fragment(tmp_path / "early", file("usr/lib64/ld.so", b"loader"))
    late = fragment(tmp_path / "late", *archive.folders("usr/lib64", 0o700))
    unpack.unpack([early, late], tmp_path / "root")
    assert (tmp_path / "root/usr/lib64/ld.so").read_bytes() == b"loader"
    assert (tmp_path / "root/usr/lib64").stat().st_mode & 0o777 == 0o700


def test_attributes_are_those_of_the_archive(tmp_path: Path, lower: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    view = unpack.unpack([lower], root)
    assert view.entry("usr/bin/tool").mode == 0o4755
    assert (root / "usr/bin/tool").stat().st_mode & 0o7777 == 0o755
    assert (root / "usr/bin/tool2").samefile(root / "usr/bin/tool")
    assert view.contents("usr/bin/tool2") == b"tool"
    assert os.fsencode((root / "link").readlink()) == os.fsencode("é" * 120)


def test_only_what_changed_is_taken(tmp_path: Path, lower: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    view = unpack.unpack([lower], root)
    before = snapshot.take(root)
    (root / "usr/bin/tool").unlink()
    (root / "usr/bin/new").write_bytes(b"new")
    (root / "usr/bin/also-new").hardlink_to(root / "usr/bin/new")
    (root / "etc-shadow").write_bytes(b"s")  # written, but with what was there
    (root / "var/log").mkdir(parents=True)
    (root / "var/log/apt.log").write_text("now")
    os.mkfifo(root / "pipe")
    changed, gone = changes.between(before, dict(snapshot.walk(root)))
    taken = changes.Changes(root, view, view)
    taken.add(changed)
    taken.remove(gone)
    found = {entry.path: entry for entry in taken.entries()}
    own = {"usr/bin/new", "usr/bin/also-new", "usr/bin/.wh.tool"}
    assert set(found) == {"usr", "usr/bin", *own, "var", "var/log"}
    assert found["usr/bin/also-new"].source == root / "usr/bin/also-new"
    assert (found["usr/bin/new"].kind, found["usr/bin/new"].target) == (tarfile.LNKTYPE, "usr/bin/also-new")


def test_what_only_the_build_has_leaves_no_trace(tmp_path: Path, lower: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    tools = fragment(tmp_path / "tools", *archive.folders("opt"), file("opt/gcc"))
    view = unpack.unpack([lower, tools], root)
    before = snapshot.take(root)
    (root / "opt/gcc").unlink()
    changed, gone = changes.between(before, dict(snapshot.walk(root)))
    taken = changes.Changes(root, view, unpack.view([lower]))
    taken.add(changed)
    taken.remove(gone)
    assert taken.entries() == []


def test_the_linker_s_cache_has_what_the_image_has(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    usr = (*archive.folders("usr/lib"), archive.Entry("lib", 0o777, tarfile.SYMTYPE, target="usr/lib"))
    lower = fragment(tmp_path / "lower", *usr, file("usr/lib/libz.so.1"))
    tools = fragment(tmp_path / "tools", *archive.folders("usr/lib"), file("usr/lib/libcurl.so.4"))
    view = unpack.unpack([lower, tools], root)
    (root / "usr/lib/libmade.so").write_bytes(b"made")
    (root / "etc").mkdir()
    listed = [ldcache.Library(name, f"/lib/{name}") for name in ("libz.so.1", "libmade.so", "libcurl.so.4")]
    (root / "etc/ld.so.cache").write_bytes(ldcache.write(ldcache.Cache(tuple(listed), b"ldconfig")))
    taken = changes.Changes(root, view, unpack.view([lower]))
    taken.add(["usr/lib/libmade.so", "etc/ld.so.cache"])
    run.forget_libraries(root, taken)
    (cache,) = (entry for entry in taken.entries() if entry.path == "etc/ld.so.cache")
    assert cache.data is not None
    assert ldcache.read(cache.data) == ldcache.Cache(tuple(listed[:2]), b"ldconfig")


@pytest.mark.parametrize("data", [b"", b"somebody's own"], ids=["empty", "another-format"])
def test_a_cache_of_another_format_stays(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.cache").write_bytes(data)
    taken = changes.Changes(tmp_path, unpack.View(), unpack.View())
    taken.add(["etc/ld.so.cache"])
    run.forget_libraries(tmp_path, taken)
    assert dict(taken.sources()) == {"etc/ld.so.cache": tmp_path / "etc/ld.so.cache"}


def test_everything_is_on_disk_where_there_is_no_overlay(
    tmp_path: Path, lower: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(overlay, "become_root", lambda: True)
    monkeypatch.setattr(overlay, "room", lambda _fragments: memory)
    monkeypatch.setattr(overlay, "mounted", lambda _lower, _upper, _root: False)
    system = object.__new__(run.System)
    system.root = tmp_path / "root"
    system.root.mkdir()
    view = system._lay([lower])
    assert (system.root / "usr/bin/tool").read_bytes() == view.contents("usr/bin/tool")
    assert not memory.exists()


@pytest.mark.parametrize(
    ("command", "fetches"),
    [
        pytest.param("apt-get install -y jq", True, id="install"),
        pytest.param("apt install jq", True, id="apt"),
        pytest.param("apt-get update && apt-get install -y jq", False, id="updates-itself"),
        pytest.param("apt-get -qq update; apt-get install jq", False, id="updates-with-an-option"),
        pytest.param("pip install adapt", False, id="another-word"),
    ],
)
def test_lists_of_packages_are_fetched_for_those_who_do_not(command: str, fetches: bool) -> None:  # noqa: FBT001
    assert bool(run._APT.search(command) and not run._UPDATES.search(command)) is fetches


def stanza(name: str, version: str = "1", **fields: str) -> str:
    lines = [f"Package: {name}", "Status: install ok installed", f"Version: {version}", "Architecture: amd64"]
    return "\n".join([*lines, *(f"{key.replace('_', '-')}: {value}" for key, value in fields.items())])


def status(*texts: str) -> installed.Stanzas:
    return installed.stanzas("\n\n".join(texts))


IMAGE = status(stanza("bash"), stanza("libc6"))
BUILD = status(
    stanza("bash"), stanza("git", Depends="libcurl (>= 8), bash"), stanza("libc6"), stanza("libcurl")
)
AUTOMATIC = installed.as_automatic(["git", "libcurl"])


@pytest.mark.parametrize(
    ("after", "states", "upgrading", "kept", "promoted"),
    [
        pytest.param(BUILD, AUTOMATIC, False, {"bash", "libc6"}, set(), id="nothing-happened"),
        pytest.param(
            {**BUILD, **status(stanza("jq", Depends="libjq | other, libc6"), stanza("libjq"))},
            AUTOMATIC,
            False,
            {"bash", "libc6", "jq", "libjq"},
            set(),
            id="installed",
        ),
        pytest.param(
            {
                **BUILD,
                **status(
                    stanza("fetch", Pre_Depends="curl-api"), stanza("libcurl", Provides="curl-api (= 1)")
                ),
            },
            AUTOMATIC,
            False,
            {"bash", "libc6", "fetch", "libcurl"},
            {"libcurl"},
            id="what-is-installed-needs-one-of-the-builds-own",
        ),
        pytest.param(
            BUILD,
            installed.as_automatic(["libcurl"]),
            False,
            {"bash", "libc6", "git", "libcurl"},
            {"git", "libcurl"},
            id="asked-for-although-it-was-there",
        ),
        pytest.param(
            {**BUILD, **status(stanza("libcurl", "2"))},
            AUTOMATIC,
            True,
            {"bash", "libc6"},
            set(),
            id="upgraded",
        ),
        pytest.param(
            {name: text for name, text in BUILD.items() if name != "bash"},
            AUTOMATIC,
            False,
            {"libc6"},
            set(),
            id="removed",
        ),
    ],
)
def test_the_image_gets_what_was_installed(
    after: installed.Stanzas,
    states: str,
    upgrading: bool,  # noqa: FBT001
    kept: set[str],
    promoted: set[str],
) -> None:
    found = installed.outcome(BUILD, after, IMAGE, states, upgrading=upgrading)
    assert (set(found.kept), found.promoted) == (kept, promoted)  # type: ignore[comparison-overlap]
    assert found.hidden == {"git", "libcurl"} - promoted


def test_the_next_command_finds_the_builds_packages_again() -> None:
    now = status(stanza("libc6"), stanza("git"), stanza("jq"))
    assert set(installed.complete(IMAGE, BUILD, now)) == {"libc6", "git", "jq", "libcurl"}


def test_triggers_of_others_go() -> None:
    assert installed.triggers("/a gcc/noawait\n/b bash\n", {"bash"}) == "/b bash\n"


def test_git_does_not_remember_the_file_system(tmp_path: Path) -> None:
    def clone(name: str) -> Path:
        work = tmp_path / name
        work.mkdir()
        for path in ("a", "folder/with-a-longer-name", "folder/ü"):
            (work / path).parent.mkdir(exist_ok=True)
            (work / path).write_text(path)
        subprocess.run(["git", "init", "-q"], cwd=work, check=True)
        subprocess.run(["git", "add", "-A"], cwd=work, check=True)
        return work

    one, two = clone("one"), clone("two")
    assert (one / ".git/index").read_bytes() != (two / ".git/index").read_bytes()
    for work in (one, two):
        git_index.clear_all(work, [".git/index", "a"])
    assert (one / ".git/index").read_bytes() == (two / ".git/index").read_bytes()
    said = subprocess.run(["git", "status", "--short"], cwd=one, capture_output=True, text=True, check=True)
    assert "M" not in said.stdout
    subprocess.run(["git", "fsck", "--strict"], cwd=one, capture_output=True, check=True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("src/x/.git/logs/HEAD", True, id="git-log"),
        pytest.param("src/logs/HEAD", False, id="the-projects-logs"),
        pytest.param("var/log/dpkg.log", True, id="log"),
        pytest.param("var/log", False, id="the-folder-stays"),
        pytest.param("root/.cache/pip/x", True, id="pip-cache"),
        pytest.param("root/.cache/huggingface/x", False, id="weights"),
        pytest.param("etc/resolv.conf", True, id="resolver"),
        pytest.param("tmp/x", False, id="tmp-stays"),
    ],
)
def test_clocks_and_caches_are_left_out(path: str, expected: bool) -> None:  # noqa: FBT001
    assert cleanup.is_volatile(path) is expected


def test_bytecode_of_other_pythons_loses_its_clock(tmp_path: Path) -> None:
    usual = tmp_path / "usual.pyc"
    usual.write_bytes(b"\xcb\x0d\x0d\x0a" + bytes(4) + b"12345678" + b"code")
    assert recompile.without_clock(usual)
    assert usual.read_bytes() == b"\xcb\x0d\x0d\x0a" + b"\1\0\0\0" + bytes(8) + b"code"
    other = tmp_path / "other.pyc"
    other.write_bytes(b"\x16\x0d\x0d\x0a" + b"1234" + b"code" * 4)
    assert not recompile.without_clock(other)


def test_distributions_come_and_go(tmp_path: Path) -> None:
    site = "usr/local/lib/python3.13/site-packages"
    first = fragment(
        tmp_path / "first",
        file(f"{site}/.wh.old_name-1.0.dist-info"),
        file(f"{site}/new-2.0.dist-info/METADATA", b"Name: New\nVersion: 2.0\n"),
        file(f"{site}/git-1.dist-info/METADATA", b"Name: git\nVersion: 1\n"),
        file(
            f"{site}/git-1.dist-info/direct_url.json",
            b'{"url": "https://example.org/x", "subdirectory": "a",'
            b' "vcs_info": {"vcs": "git", "commit_id": "c0"}}',
        ),
    )
    locked = [{"name": "Old.Name", "version": "1.0"}, {"name": "kept", "version": "3"}]
    assert distributions.after(locked, [first]) == [
        {"name": "kept", "version": "3"},
        {"name": "git", "version": "1", "origin": "git+https://example.org/x@c0#subdirectory=a"},
        {"name": "New", "version": "2.0"},
    ]


def test_results_are_compared_file_by_file(tmp_path: Path) -> None:
    one = difference.read(fragment(tmp_path / "one", *archive.folders("a"), file("a/x", b"1"), file("a/y")))
    two = difference.read(
        fragment(tmp_path / "two", *archive.folders("a", 0o700), file("a/x", b"2"), file("z"))
    )
    assert difference.lines(one, two) == ["changed  /a/", "changed  /a/x", "missing  /a/y", "new      /z"]
    assert difference.lines(one, one) == []
    many = {f"f{number:02}": "" for number in range(30)}
    assert difference.lines({}, many)[-1] == "and 10 more"
    difference.remember(tmp_path / "kept", "sha256-a", one)
    assert difference.recall(tmp_path / "kept", "sha256-a") == one
    assert difference.recall(tmp_path / "kept", "sha256-b") is None


def test_an_entry_is_read_from_its_beginning() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("n" * 300)
        info.size = 4
        tar.addfile(info, io.BytesIO(b"data"))
    assert unpack.parse(stream.getvalue()).name == "n" * 300
