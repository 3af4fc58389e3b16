"""Finding Nix and driving a store of one's own."""

from __future__ import annotations

import errno
import hashlib
import http.server
import os
import shutil
import socket
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import NixError
from cog_nix.lock.model import Artifact
from cog_nix.report import SilentReporter
from cog_nix.store import choice
from cog_nix.store import nix as store
from cog_nix.store.library import nix_library
from cog_nix.store.paths import file_path, nar_hash, store_name, tree_path
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def bin_dir(tmp_path: Path) -> Path:
    """Return a folder with a nix-build that tells its version and does nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "nix-build").write_text("#!/bin/sh\necho 'nix-build (Nix) 2.8.0'\n")
    (folder / "nix-build").chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def _no_nix_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(choice, "PROFILES", (str(tmp_path / "no-profile"),))
    monkeypatch.setattr(store, "_SOCKET", str(tmp_path / "no-socket"))


def _as(monkeypatch: pytest.MonkeyPatch, uid: int, *, writable: bool = False) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: writable if str(path).startswith("/nix") else real(path, mode)
    )


def test_without_nix_it_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(NixError) as error:
        store.discover({"PATH": str(tmp_path)})
    assert error.value.message == "Nix is not installed: there is no nix-build on the PATH."
    for word in ("apt-get install nix-bin", "dnf install nix", "pacman -S nix", "nixos.org"):
        assert word in error.value.hint


def test_nix_outside_the_path_is_found_in_a_profile(
    bin_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(choice, "PROFILES", (str(bin_dir),))
    assert store.discover({"PATH": str(tmp_path / "nothing"), "COG_NIX_STORE": "/x"}).bin_dir == bin_dir


def test_a_named_store_wins(bin_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _as(monkeypatch, 0)
    monkeypatch.chdir(tmp_path)
    found = store.discover({"PATH": str(bin_dir), "COG_NIX_STORE": "my-store"})
    assert (found.kind, found.root) == ("own", tmp_path / "my-store")
    assert found.store_dir == tmp_path / "my-store/nix/store"


def test_root_uses_the_systems_store(bin_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _as(monkeypatch, 0, writable=True)
    found = store.discover({"PATH": str(bin_dir)})
    assert (found.kind, found.root, found.store_dir) == ("root", None, Path("/nix/store"))


def test_root_without_a_store_that_can_be_written_gets_one_of_its_own(
    bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _as(monkeypatch, 0, writable=False)
    found = store.discover({"PATH": str(bin_dir), "XDG_DATA_HOME": "/data"})
    assert (found.kind, found.root) == ("own", Path("/data/cog-nix/store"))


def test_a_user_whose_store_it_is_uses_it(bin_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _as(monkeypatch, 1000, writable=True)
    assert store.discover({"PATH": str(bin_dir)}).kind == "single-user"


def test_any_other_user_gets_a_store_of_their_own(bin_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _as(monkeypatch, 1000)
    found = store.discover({"PATH": str(bin_dir), "XDG_DATA_HOME": "/data"})
    assert (found.kind, found.root) == ("own", Path("/data/cog-nix/store"))


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Listen where the Nix daemon would."""
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    monkeypatch.setattr(store, "_SOCKET", "daemon")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("daemon")
        server.listen()
        yield


@pytest.mark.usefixtures("daemon")
def test_a_daemon_that_answers_is_used_with_its_own_build_users(
    bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _as(monkeypatch, 1000)
    found = store.discover({"PATH": str(bin_dir)})
    assert found.kind == "daemon"
    assert "build-users-group" not in found.command("nix-build")
    assert "--store" not in found.command("nix-build")


@pytest.mark.parametrize("kind", ["root", "single-user", "own"])
def test_builds_are_sandboxed_where_we_decide(bin_dir: Path, kind: Any) -> None:
    root = Path("/mine") if kind == "own" else None
    command = store.Nix(bin_dir, kind, root).command("nix-build", "x.nix")
    options = [" ".join(command[index : index + 3]) for index in range(len(command))]
    for option in ("sandbox true", "sandbox-fallback false", "substitute false", "build-users-group "):
        assert f"--option {option}" in options
    assert ("--store" in command) is (kind == "own")
    assert command[0] == str(bin_dir / "nix-build")
    assert command[-1] == "x.nix"


def _artifact(path: Path, content: bytes, filename: str | None = None) -> Artifact:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    name = filename or path.name
    return Artifact(name, f"https://example.org/{name}", hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> store.Nix:
    """Return the machine's Nix with an empty store of its own."""
    monkeypatch.undo()
    return store.discover({**os.environ, "COG_NIX_STORE": str(tmp_path / "own store")})


@pytest.mark.nix
def test_files_and_trees_land_where_they_are_expected(own: store.Nix, tmp_path: Path) -> None:
    one = _artifact(tmp_path / "cache/aaa", b"one", "a~1_all.deb")
    two = _artifact(tmp_path / "cache/bbb", b"two", "two-1-py3-none-any.whl")
    assert own.missing_artifacts([one, two]) == [one, two]
    own.add_artifacts([(one, tmp_path / "cache/aaa")])
    assert own.missing_artifacts([one, two]) == [two]
    assert own.real(file_path(one.sha256, store_name(one.filename))).read_bytes() == b"one"
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("x")
    sri = nar_hash(tmp_path / "tree")
    assert own.add_tree(tmp_path / "tree") == tree_path(sri, "tree")
    assert own.invalid([tree_path(sri, "tree"), tree_path(sri, "other")]) == [tree_path(sri, "other")]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["aaa", "bbb"], (
        "nothing is left behind"
    )


@pytest.mark.nix
def test_a_file_that_is_not_what_the_lock_says_is_refused(own: store.Nix, tmp_path: Path) -> None:
    artifact = _artifact(tmp_path / "cache/x.deb", b"right")
    (tmp_path / "cache/x.deb").write_bytes(b"wrong")
    with pytest.raises(NixError, match=r"A file in the download cache is not what the lock says: .*-x\.deb"):
        own.add_artifacts([(artifact, tmp_path / "cache/x.deb")])


@pytest.mark.nix
def test_a_file_of_the_cache_becomes_the_stores_and_is_told_to_nix_as_it_would_be(
    own: store.Nix, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 3 + b"odd"
    one = _artifact(tmp_path / "cache/one", content)
    own.add_artifacts([(one, tmp_path / "cache/one")])  # makes the store
    path = file_path(one.sha256, "one")
    info = own.real(path).stat()
    assert info.st_ino == (tmp_path / "cache/one").stat().st_ino, "nothing was copied"
    assert (stat.S_IMODE(info.st_mode), info.st_mtime) == (0o444, 1)
    run(own.command("nix-store", "--verify-path", path))
    told = run(own.command("nix-store", "--query", "--hash", path)).stdout.strip()
    expected = run(["nix-hash", "--type", "sha256", "--base32", tmp_path / "cache/one"]).stdout.strip()
    assert told == f"sha256:{expected}"
    assert not [each for each in own.store_dir.iterdir() if each.name.startswith(".cog-nix-")]


@pytest.mark.nix
def test_a_cache_on_another_file_system_is_copied(
    own: store.Nix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    one, two = _artifact(tmp_path / "cache/one", b"one"), _artifact(tmp_path / "cache/two", b"two")
    own.add_artifacts([(one, tmp_path / "cache/one")])
    monkeypatch.setattr(os, "link", refuse)
    own.add_artifacts([(two, tmp_path / "cache/two")])
    path = file_path(two.sha256, "two")
    assert own.real(path).read_bytes() == b"two"
    assert own.real(path).stat().st_nlink == 1
    run(own.command("nix-store", "--verify-path", path))


@pytest.mark.nix
def test_what_a_killed_process_linked_is_put_there_anew(own: store.Nix, tmp_path: Path) -> None:
    one, two = _artifact(tmp_path / "cache/one", b"one"), _artifact(tmp_path / "cache/two", b"two")
    own.add_artifacts([(one, tmp_path / "cache/one")])
    path = file_path(two.sha256, "two")
    os.link(tmp_path / "cache/two", own.real(path))
    assert own.missing_artifacts([one, two]) == [two]
    own.add_artifacts([(two, tmp_path / "cache/two")])
    assert own.missing_artifacts([one, two]) == []


def _tree(folder: Path) -> str:
    """Make what a kept tree is like, and return its hash."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/program").write_text("#!/bin/sh\n")
    (folder / "bin/program").chmod(0o755)
    (folder / "bin/alias").symlink_to("program")
    (folder / "text").write_text("words")
    return nar_hash(folder)


@pytest.mark.nix
def test_a_folder_of_the_cache_becomes_the_stores_and_is_told_to_nix_as_it_would_be(
    own: store.Nix, tmp_path: Path
) -> None:
    tree = tmp_path / "cache/tree"
    sri = _tree(tree)
    assert own.adopt_tree(tree, sri)
    path = own.real(tree_path(sri, "tree"))
    run(own.command("nix-store", "--verify-path", tree_path(sri, "tree")))
    for name, mode in (("", 0o555), ("bin", 0o555), ("bin/program", 0o555), ("text", 0o444)):
        info = (path / name).stat()
        assert (stat.S_IMODE(info.st_mode), info.st_mtime) == (mode, 1)
    assert (path / "text").stat().st_ino == (tree / "text").stat().st_ino, "nothing was copied"
    assert (path / "bin/alias").readlink() == Path("program")
    assert own.invalid([tree_path(sri, "tree")]) == []
    assert not [each for each in own.store_dir.iterdir() if each.name.startswith(".cog-nix-")]


@pytest.mark.nix
def test_a_folder_that_is_not_what_it_should_be_is_not_taken(own: store.Nix, tmp_path: Path) -> None:
    sri = _tree(tmp_path / "cache/tree")
    (tmp_path / "cache/tree/text").write_text("other words")
    assert not own.adopt_tree(tmp_path / "cache/tree", sri)
    assert [each.name for each in own.store_dir.iterdir()] in ([], [".links"])


@pytest.mark.nix
def test_a_folder_that_cannot_be_linked_is_copied_and_half_a_one_made_whole(
    own: store.Nix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    tree = tmp_path / "cache/tree"
    sri = _tree(tree)
    path = tree_path(sri, "tree")
    (own.real(path) / "bin").mkdir(parents=True)
    assert own.adopt_tree(tree, sri), "a killed process has left half of it"
    run(own.command("nix-store", "--verify-path", path))
    other = tmp_path / "cache/other"
    shutil.copytree(tree, other, symlinks=True)
    monkeypatch.setattr(os, "link", refuse)
    assert own.adopt_tree(other, sri)
    assert (own.real(tree_path(sri, "other")) / "text").stat().st_nlink == 1


@pytest.mark.nix
def test_half_a_file_left_by_a_cut_is_not_taken_for_a_whole(own: store.Nix, tmp_path: Path) -> None:
    one, two = _artifact(tmp_path / "cache/one", b"one"), _artifact(tmp_path / "cache/two", b"two")
    own.add_artifacts([(one, tmp_path / "cache/one")])
    half = own.real(file_path(two.sha256, "two"))
    half.parent.chmod(0o755)
    half.write_bytes(b"t")
    assert own.missing_artifacts([one, two]) == [two]


@pytest.mark.nix
@pytest.mark.parametrize(
    ("text", "sentence"),
    [('{ spec }: throw "no such layer"', "no such layer"), ("{ spec }:", "syntax error")],
    ids=["throw", "syntax"],
)
def test_an_error_of_evaluation_is_told_in_nixs_words(
    own: store.Nix, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "x.nix").write_text(text)
    with pytest.raises(NixError) as error:
        own.build(tmp_path / "x.nix", {}, None, SilentReporter())
    assert sentence in error.value.message
    assert "\x1b" not in error.value.message


@pytest.mark.nix
def test_the_result_is_linked_and_named_by_its_store_path(own: store.Nix, tmp_path: Path) -> None:
    artifact = _artifact(tmp_path / "cache/aaa", b"text", "given~1.txt")
    own.add_artifacts([(artifact, tmp_path / "cache/aaa")])
    library = nix_library() / "store.nix"
    (tmp_path / "x.nix").write_text(
        f"{{ spec }}: (import {library}).file (builtins.fromJSON (builtins.readFile spec))"
    )
    link = tmp_path / "result"
    built = own.build(tmp_path / "x.nix", vars(artifact), link, SilentReporter())
    assert built == file_path(artifact.sha256, "given-1.txt")
    assert own.real(built).read_bytes() == b"text"
    assert link.is_symlink()
    assert built == own.build(tmp_path / "x.nix", vars(artifact), None, SilentReporter())


class _Files(http.server.BaseHTTPRequestHandler):
    """One file at once, and another never."""

    over = threading.Event()

    def do_GET(self) -> None:
        if self.path != "/first":
            self.over.wait(600)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"first")

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def files() -> Iterator[str]:
    """Yield the URL of a server that answers once, and then no more."""
    _Files.over.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        _Files.over.set()
        server.shutdown()
        thread.join()


@pytest.mark.nix
def test_what_is_made_is_told_while_others_are_at_work_and_may_end_them(
    own: store.Nix, tmp_path: Path, files: str
) -> None:
    (tmp_path / "x.nix").write_text(
        """{ spec }: let fetch = name: before: derivation {
          inherit name before; builder = "builtin:fetchurl"; system = "builtin"; url = "URL/${name}";
          outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "HASH"; preferLocalBuild = true;
        }; in fetch "second" (fetch "first" null)""".replace("URL", files).replace(
            "HASH", hashlib.sha256(b"first").hexdigest()
        )
    )

    def refuse(name: str, output: Callable[[], Path | None]) -> None:
        path = output()
        assert path
        assert (name, path.read_bytes()) == ("first", b"first")
        raise LookupError(path.name)

    with pytest.raises(LookupError, match=r"^\w{32}-first$"):
        own.build(tmp_path / "x.nix", {}, None, SilentReporter(), made=refuse)
