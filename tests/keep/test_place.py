"""Where kept models listen: for this user alone, and nothing left behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cog_nix.keep import place
from cog_nix.keep.failures import UnsafePlaceError


def test_it_is_the_runtime_folder(own_place: Path) -> None:
    assert place.make_parent() == str(own_place)
    assert own_place.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("runtime", ["", "relative", "/nowhere"])
def test_without_one_it_is_the_cache(runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))
    assert place.make_parent() == str(tmp_path / "cache/kept")


def test_a_runtime_folder_that_others_enter_is_not_taken(
    own_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))
    own_place.parents[1].chmod(0o755)
    assert place.parent() == str(tmp_path / "cache/kept")


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_place_that_others_enter_is_refused(own_place: Path, mode: int) -> None:
    own_place.mkdir(parents=True)
    own_place.chmod(mode)
    with pytest.raises(UnsafePlaceError, match="others can enter it") as caught:
        place.make("slot")
    assert f"chmod 700 {own_place}" in caught.value.hint


def test_a_link_is_no_place(own_place: Path, tmp_path: Path) -> None:
    own_place.parent.mkdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    own_place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePlaceError):
        place.make_parent()


@pytest.mark.root
def test_another_users_place_is_refused_and_never_connected_to(own_place: Path) -> None:
    name, server, lock = place.make("slot")
    with server:
        os.chown(own_place / name, 65534, 65534)
        with pytest.raises(PermissionError):
            place.connect(name)
        os.chown(own_place, 65534, 65534)
        with pytest.raises(UnsafePlaceError):
            place.make_parent()
        assert place.names() == []
    os.close(lock)


def test_a_long_path_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    deep.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    name, server, lock = place.make("slot")
    with server, place.connect(name) as connection:
        accepted, _ = server.accept()
        with accepted:
            connection.sendall(b"x")
            assert accepted.recv(1) == b"x"
    os.close(lock)


def test_what_a_dead_keeper_left_is_removed_and_a_live_one_stays(own_place: Path) -> None:
    (dead, first, lock), (alive, second, held) = place.make("a"), place.make("b")
    first.close()
    os.close(lock)
    with pytest.raises(ConnectionRefusedError):
        place.connect(dead)
    place.sweep()
    assert place.names() == [alive]
    assert isinstance(second, socket.socket)
    second.close()
    os.close(held)
    assert Path(own_place, alive).is_dir()


def test_slots_differ_by_what_they_stand_for() -> None:
    said = {
        place.slot(*words) for words in (("/a", "m", "docker"), ("/b", "m", "docker"), ("/a", "m", "podman"))
    }
    assert len(said) == 3
