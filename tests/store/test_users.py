"""Who builders are where root builds without a daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cog_nix.namespaces import sandbox
from cog_nix.store import choice, users

ROOT = ("--option", "build-users-group", "")
PROGRAMS, CACHE, OWN = Path("/programs"), Path("/cache"), Path("/own")


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be root of a machine with a new Nix and no users for builds."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sandbox, "builders_user", lambda: 1)
    monkeypatch.setattr(users, "_members", list)
    monkeypatch.setattr(choice, "number", lambda *_: (2, 34))


def test_users_of_the_group_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_members", lambda: ["nixbld1"])
    assert users.options(PROGRAMS, None, CACHE) == ("--option", "build-users-group", "nixbld")


def test_a_new_nix_chooses_by_itself() -> None:
    found = users.options(PROGRAMS, None, CACHE)
    # The feature has to be on before the setting is read.
    assert found.index("extra-experimental-features") < found.index("auto-allocate-uids", 3)
    assert found[-3:] == ROOT


@pytest.mark.parametrize("version", [None, (2, 8), (2, 25)])
def test_an_older_one_does_not(version: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "number", lambda *_: version)
    assert users.options(PROGRAMS, None, CACHE) == ROOT


def test_an_own_store_makes_no_folder_for_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_STATE", tmp_path / "missing")
    assert users.options(PROGRAMS, OWN, CACHE) == ROOT
    monkeypatch.setattr(users, "_STATE", tmp_path)
    assert users.options(PROGRAMS, OWN, CACHE) != ROOT


def test_a_plain_user_and_root_of_few_users_stay_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "builders_user", lambda: None)
    assert users.options(PROGRAMS, None, CACHE) == ROOT
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert users.options(PROGRAMS, None, CACHE) == ROOT


def test_where_others_may_exchange_the_store_builders_stay_root(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    assert users.options(PROGRAMS, shared / "store", CACHE) == ROOT
    link = tmp_path / "link"
    link.symlink_to("/var")
    assert users.options(PROGRAMS, link / "store", CACHE) == ROOT
