"""Where else a package is looked for: other mirrors, and the archive as it was when the lock was made."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Settings
from cog_nix.lock.model import Artifact, Index
from cog_nix.plugins.manager import load
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix_hooks.debian import origins, sources
from cog_nix_hooks.debian.settings import DebianSettings
from tests.lock.conftest import make_lock

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.lock.model import Lock

OLD, OLD_SECURITY = "http://old.example.org/debian", "http://old.example.org/debian-security"
SNAPSHOT = "http://snapshot.example.org/archive"


def index(uri: str, suite: str, date: str) -> Index:
    return Index(uri, suite, "main", "amd64", date, "0" * 64)


@pytest.fixture
def lock() -> Lock:
    made = make_lock()
    indexes = (
        index(OLD, "trixie", "2026-01-10T09:00:00Z"),
        index(OLD, "trixie-updates", "2026-01-31T20:30:00Z"),
        index(OLD_SECURITY, "trixie-security", "2026-02-01T12:00:00Z"),
    )
    seeds = (index(OLD, "trixie", "2025-11-05T08:00:00Z"),)
    return replace(made, indexes=indexes, seed=replace(made.seed, found_in=seeds))


@pytest.fixture(autouse=True)
def _no_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine's own sources have no say."""
    for name in (sources.MIRROR_VARIABLE, sources.SECURITY_VARIABLE, sources.SNAPSHOT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    found, snapshot = sources.find_archives, sources.find_snapshot
    apt, defaults = tmp_path / "apt", tmp_path / "mirrors.json"
    monkeypatch.setattr(origins, "find_archives", partial(found, apt=apt, defaults=defaults))
    monkeypatch.setattr(origins, "find_snapshot", partial(snapshot, defaults=defaults))


def places(url: str, lock: Lock | None, **settings: Any) -> list[tuple[str, bool]]:
    """Return the URLs at which a file is looked for, each with whether that is to be gentle."""
    artifact = Artifact(url.rpartition("/")[2], url, "a" * 64, 3)
    fetcher: Any = None
    context = Context(
        Settings(tables={"debian": DebianSettings(**settings)}), fetcher, SilentReporter(), fetcher
    )
    found = load({"COG_NIX_PLUGINS": "0"}).origins_of([artifact], lock, (), context)
    return [(one.url, one.gentle) for answer in found for one in answer.get("a" * 64, ())]


def test_a_package_is_at_other_mirrors_and_in_the_archive_as_it_was(lock: Lock) -> None:
    path = "pool/main/t/tini/tini_1_amd64.deb"
    found = places(f"{OLD}/{path}", lock, mirror="http://new.example.org/debian", snapshot=f"{SNAPSHOT}/")
    assert found == [
        (f"http://new.example.org/debian/{path}", False),
        (f"{SNAPSHOT}/debian/20260131T203000Z/{path}", True),
        (f"{SNAPSHOT}/debian/20260201T203000Z/{path}", True),
        (f"{SNAPSHOT}/debian/20251105T080000Z/{path}", True),
        (f"{SNAPSHOT}/debian/20251106T080000Z/{path}", True),
    ]


def test_a_security_update_is_in_its_own_archive_and_later_in_the_main_one(lock: Lock) -> None:
    path = "main/o/openssl/openssl_1_amd64.deb"
    url = f"{OLD_SECURITY}/pool/updates/{path}"
    new = {"mirror": "http://new.example.org/debian", "security_mirror": "http://new.example.org/security"}
    assert places(url, lock, snapshot=SNAPSHOT, **new) == [
        (f"http://new.example.org/security/pool/updates/{path}", False),
        (f"http://new.example.org/debian/pool/{path}", False),
        (f"{SNAPSHOT}/debian-security/20260201T120000Z/pool/updates/{path}", True),
        (f"{SNAPSHOT}/debian-security/20260202T120000Z/pool/updates/{path}", True),
    ]


def test_without_a_lock_mirrors_are_left(lock: Lock) -> None:
    url = f"{OLD}/pool/main/t/tini/tini_1_amd64.deb"
    assert places(url, None, mirror="http://new.example.org/debian", snapshot=SNAPSHOT) == [
        ("http://new.example.org/debian/pool/main/t/tini/tini_1_amd64.deb", False)
    ]
    assert places(url, lock) == []


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"{OLD}/dists/trixie/main/binary-amd64/by-hash/SHA256/aa", id="an-index"),
        pytest.param("https://files.example.org/packages/tini-1-py3-none-any.whl", id="a-wheel"),
        pytest.param("https://files.example.org/pool/tini-1.tar.gz", id="an-archive"),
    ],
)
def test_other_files_are_left_to_others(lock: Lock, url: str) -> None:
    artifact = Artifact(url.rpartition("/")[2], url, "a" * 64, 3)
    fetcher: Any = None
    debian = DebianSettings(mirror="http://new.example.org/debian", snapshot=SNAPSHOT)
    context = Context(Settings(tables={"debian": debian}), fetcher, SilentReporter(), fetcher)
    assert origins.origins_of([artifact], lock, context) == {}


def test_every_mirror_that_anything_names_is_one(tmp_path: Path) -> None:
    apt, defaults = tmp_path / "apt", tmp_path / "mirrors.json"
    apt.mkdir()
    (apt / "sources.list").write_text(
        "deb http://one.example.org/debian trixie main\n"
        "deb http://two.example.org/debian trixie main\n"
        "deb http://one.example.org/debian-security trixie-security main\n"
    )
    defaults.write_text(
        json.dumps({"mirror": "http://d.example.org", "security_mirror": "http://s.example.org"})
    )
    environment = {sources.MIRROR_VARIABLE: "http://named.example.org/debian"}
    settings = DebianSettings(mirror="http://toml.example.org/debian")
    found = [one.main for one in sources.find_archives(settings, environment, apt, defaults)]
    assert found == [
        "http://toml.example.org/debian",
        "http://named.example.org/debian",
        "http://one.example.org/debian",
        "http://two.example.org/debian",
        "http://d.example.org",
    ]


@pytest.mark.parametrize(
    ("setting", "variable", "default", "mirror", "expected"),
    [
        ("http://t/a/", "http://v/a", "http://d/a", "http://deb.example.org/debian", "http://t/a"),
        (None, "http://v/a", "http://d/a", "http://deb.example.org/debian", "http://v/a"),
        (None, "", "http://d/a", "http://deb.example.org/debian", "http://d/a"),
        (None, "", "", "http://deb.example.org/debian", "http://snapshot.example.org/archive"),
        (None, "", "", "http://mirror.example.org/debian", None),
    ],
    ids=["cog-nix.toml", "variable", "default", "beside-the-mirror", "unknown"],
)
def test_the_first_that_names_a_snapshot_counts(  # noqa: PLR0917 - a table
    tmp_path: Path, setting: str | None, variable: str, default: str, mirror: str, expected: str | None
) -> None:
    defaults = tmp_path / "mirrors.json"
    defaults.write_text(json.dumps({"snapshot": default} if default else {}))
    environment = {sources.SNAPSHOT_VARIABLE: variable} if variable else {}
    archives = [sources.Archive(mirror, f"{mirror}-security", "a test")]
    found = sources.find_snapshot(DebianSettings(snapshot=setting), environment, archives, defaults)
    assert found == expected
