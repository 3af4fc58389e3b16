"""Whose binary caches and builders count."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cog_nix.config.model import NixSettings
from cog_nix.store import caches
from cog_nix.store.caches import Caches

_KEY = f"ci-1:{'A' * 43}="


def _options(found: Caches, *, extra: bool = False) -> dict[str, str]:
    options = found.options(extra=extra)
    assert options[::3] == ["--option"] * (len(options) // 3)
    return dict(zip(options[1::3], options[2::3], strict=True))


def test_without_any_nothing_is_substituted_and_builders_are_as_nix_has_them() -> None:
    assert _options(Caches()) == {"substitute": "false"}
    assert Caches().options(extra=True) == [], "what others wrote is built as nix.conf has it"


def test_caches_take_the_place_of_those_of_nix_conf() -> None:
    found = _options(Caches(("https://a.example.org", "file:///b"), (_KEY,)))
    assert found["substituters"] == "https://a.example.org file:///b"
    assert found["trusted-public-keys"] == _KEY
    assert found["substitute"] == "true"
    assert "fallback" not in found, "what is lacking is made once all that it needs is in the store"


def test_for_what_others_wrote_they_come_on_top() -> None:
    found = _options(Caches(("https://a.example.org",), (_KEY,)), extra=True)
    assert found["extra-substituters"] == "https://a.example.org"
    assert found["extra-trusted-public-keys"] == _KEY
    assert "substituters" not in found


def test_builders_take_from_caches_themselves() -> None:
    found = _options(Caches(builders=("ssh-ng://a x86_64-linux - 4", "ssh-ng://b")))
    assert found["builders"] == "ssh-ng://a x86_64-linux - 4 ; ssh-ng://b"
    assert found["builders-use-substitutes"] == "true"


@pytest.mark.parametrize(
    ("builder", "expected"),
    [
        ("ssh-ng://a", []),
        ("ssh-ng://a -", []),
        ("ssh-ng://a x86_64-linux,i686-linux key", []),
        ("ssh-ng://a aarch64-linux key", ["ssh-ng://a"]),
    ],
    ids=["unsaid", "dash", "ours", "another"],
)
def test_builders_of_other_systems_are_told_apart(builder: str, expected: list[str]) -> None:
    assert Caches(builders=(builder,)).of_other_systems() == expected


def test_the_environment_is_the_users_own() -> None:
    found = caches.of_environment(
        {
            "COG_NIX_SUBSTITUTERS": " https://a.example.org  https://b.example.org ",
            "COG_NIX_TRUSTED_PUBLIC_KEYS": _KEY,
            "COG_NIX_BUILDERS": "ssh-ng://a x86_64-linux; ssh-ng://b\n",
        }
    )
    machines = ("ssh-ng://a x86_64-linux", "ssh-ng://b")
    assert found == Caches(("https://a.example.org", "https://b.example.org"), (_KEY,), machines)
    assert not caches.of_environment({})


def test_what_a_project_names_counts_once_it_is_trusted(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    settings = NixSettings((), ("https://a.example.org",), (_KEY,), ("ssh-ng://a",))
    named = caches.of_project(settings)
    assert caches.effective(settings, environment) == (Caches(), named)
    file = caches.trust(named, environment)
    assert file == tmp_path / "cog-nix/trusted.json"
    assert caches.effective(settings, environment) == (named, Caches())
    other = NixSettings((), ("https://a.example.org", "https://evil.example.org"), (_KEY,))
    counted, untrusted = caches.effective(other, environment)
    assert counted == Caches(("https://a.example.org",), (_KEY,))
    assert untrusted == Caches(("https://evil.example.org",))


def test_trust_adds_to_what_was_trusted(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    caches.trust(Caches(("https://a.example.org",)), environment)
    file = caches.trust(Caches((), (_KEY,)), environment)
    assert caches.trusted(environment) == Caches(("https://a.example.org",), (_KEY,))
    assert not stat.S_IMODE(file.stat().st_mode) & 0o022


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"substituters": 1}', '{"builders": [1]}', "\xff"], ids=repr
)
def test_a_damaged_list_trusts_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "cog-nix").mkdir()
    (tmp_path / "cog-nix/trusted.json").write_bytes(text.encode("latin-1"))
    assert not caches.trusted({"XDG_CONFIG_HOME": str(tmp_path)})


def test_nobody_is_asked_for_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIX_SSHOPTS", raising=False)
    assert "BatchMode=yes" in Caches().environment()["NIX_SSHOPTS"]
    monkeypatch.setenv("NIX_SSHOPTS", "-p 22")
    assert Caches().environment() == {}, "the user's own count"


def test_a_folder_is_a_cache_that_a_container_has_to_see() -> None:
    assert caches.folders("https://c", "file:///srv/a%20cache?compression=xz", "") == [Path("/srv/a cache")]
