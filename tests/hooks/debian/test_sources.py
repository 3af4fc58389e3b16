from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import LockError
from cog_nix_hooks.debian.settings import DebianSettings
from cog_nix_hooks.debian.sources import Archive, find_archive, is_debian

if TYPE_CHECKING:
    from pathlib import Path

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example.org/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
MAIN, SECURITY = "http://mirror.example.org/debian", "http://mirror.example.org/debian-security"


@pytest.fixture
def apt(tmp_path: Path) -> Path:
    folder = tmp_path / "apt"
    (folder / "sources.list.d").mkdir(parents=True)
    return folder


def find(apt: Path) -> tuple[str, str]:
    archive = find_archive(DebianSettings(), {}, apt, apt / "no-defaults.json")
    return archive.main, archive.security


def test_deb822(apt: Path) -> None:
    (apt / "sources.list.d/debian.sources").write_text(DEB822)
    assert find(apt) == (MAIN, SECURITY)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            f"# deb http://old.example.org/debian trixie main\ndeb {MAIN} trixie main  # here\n"
            f"deb {SECURITY} trixie-security main",
            (MAIN, SECURITY),
            id="both",
        ),
        pytest.param(
            f"deb [arch=amd64 trusted=no] {MAIN} trixie main non-free", (MAIN, SECURITY), id="options"
        ),
        pytest.param(
            "deb file:///srv/debian trixie main",
            ("file:///srv/debian", "file:///srv/debian-security"),
            id="file",
        ),
        pytest.param(
            f"deb http://apt.example.org/grafana stable main\ndeb {MAIN} bookworm main",
            (MAIN, SECURITY),
            id="others-may-use-an-alias",
        ),
        pytest.param(
            f"deb http://apt.example.org/x bookworm main\n"
            f"deb [signed-by=/k/debian-archive-keyring.gpg] {MAIN} stable main",
            (MAIN, SECURITY),
            id="signed-by-debian-first",
        ),
        pytest.param(
            f"deb-src {MAIN}/other trixie main\ndeb {MAIN} trixie main", (MAIN, SECURITY), id="source"
        ),
        pytest.param(
            f"deb http://pg.example.org bookworm-pgdg main\ndeb {MAIN} sid main", (MAIN, SECURITY), id="pgdg"
        ),
    ],
)
def test_one_line_style(apt: Path, lines: str, expected: tuple[str, str]) -> None:
    (apt / "sources.list").write_text(lines)
    assert find(apt) == expected


def test_mirror_lists_are_followed(apt: Path, tmp_path: Path) -> None:
    mirrors = tmp_path / "debian.list"
    mirrors.write_text(f"# ours\n{MAIN}/ priority:1\n")
    (apt / "sources.list").write_text(f"deb mirror+file:{mirrors} trixie main")
    assert find(apt) == (MAIN, SECURITY)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="none"),
        pytest.param("deb http://mirror.example.org/ubuntu noble main", id="ubuntu"),
        pytest.param(
            "deb http://mirror.example.org/ubuntu noble main\n"
            "deb [arch=amd64] https://dl.example.org/linux/browser/deb/ stable main",
            id="ubuntu-with-a-stable-repository-of-somebody",
        ),
        pytest.param("deb http://mirror.example.org/debian trixie contrib", id="no-main"),
        pytest.param("deb cdrom:[Debian]/ trixie main", id="cdrom"),
    ],
)
def test_without_a_mirror_the_error_says_what_to_set(apt: Path, text: str) -> None:
    (apt / "sources.list").write_text(text)
    with pytest.raises(LockError) as caught:
        find(apt)
    assert "COG_NIX_DEBIAN_MIRROR" in caught.value.hint
    assert "[debian] mirror in cog-nix.toml" in caught.value.hint


def test_a_machine_without_debians_sources_has_the_default(apt: Path, tmp_path: Path) -> None:
    (apt / "sources.list").write_text("deb http://mirror.example.org/ubuntu noble main")
    defaults = tmp_path / "mirrors.json"
    defaults.write_text(
        '{"mirror": "http://d.example.org/debian", "security_mirror": "http://s.example.org"}'
    )
    found = find_archive(DebianSettings(), {}, apt, defaults)
    assert found == Archive("http://d.example.org/debian", "http://s.example.org", "the default")
    named = {"COG_NIX_DEBIAN_MIRROR": "http://b.example.org"}
    assert find_archive(DebianSettings(), named, apt, defaults).main == "http://b.example.org"
    for damaged in ("", "[]", "{}"):
        defaults.write_text(damaged)
        with pytest.raises(LockError, match="No Debian mirror is known"):
            find_archive(DebianSettings(), {}, apt, defaults)


def test_a_disabled_source_is_not_used(apt: Path) -> None:
    (apt / "sources.list.d/debian.sources").write_text(
        DEB822.replace("Types: deb\n", "Types: deb\nEnabled: no\n")
    )
    with pytest.raises(LockError):
        find(apt)


@pytest.mark.parametrize(
    ("settings", "environment", "expected"),
    [
        pytest.param(
            DebianSettings(mirror="http://a.example.org/debian/"),
            {"COG_NIX_DEBIAN_MIRROR": "http://b.example.org"},
            Archive(
                "http://a.example.org/debian",
                "http://a.example.org/debian-security",
                "[debian] mirror in cog-nix.toml",
            ),
            id="settings-first",
        ),
        pytest.param(
            DebianSettings(mirror="http://a.example.org", security_mirror="http://s.example.org/"),
            {},
            Archive("http://a.example.org", "http://s.example.org", "[debian] mirror in cog-nix.toml"),
            id="security-of-its-own",
        ),
        pytest.param(
            DebianSettings(),
            {
                "COG_NIX_DEBIAN_MIRROR": "http://b.example.org",
                "COG_NIX_DEBIAN_SECURITY_MIRROR": "http://c.example.org",
            },
            Archive("http://b.example.org", "http://c.example.org", "COG_NIX_DEBIAN_MIRROR"),
            id="environment",
        ),
    ],
)
def test_configuration_comes_before_apt(
    apt: Path, settings: DebianSettings, environment: dict[str, str], expected: Archive
) -> None:
    (apt / "sources.list.d/debian.sources").write_text(DEB822)
    assert find_archive(settings, environment, apt) == expected


@pytest.mark.parametrize(
    ("suite", "known"), [("trixie", True), ("stable", True), ("noble", False), ("trixie-security", False)]
)
def test_suites_of_debian(suite: str, *, known: bool) -> None:
    assert is_debian(suite) is known


@pytest.mark.parametrize("place", ["mirror", "security_mirror", "variable"])
def test_credentials_of_a_mirror_would_get_into_the_lock(tmp_path: Path, place: str) -> None:
    url = "https://me:tr0ub4dor@mirror.example.org/debian"
    named = {"mirror": "https://mirror.example.org/debian", "security_mirror": None}
    settings = DebianSettings() if place == "variable" else DebianSettings(**{**named, place: url})  # type: ignore[arg-type]
    variables = {"COG_NIX_DEBIAN_MIRROR": url} if place == "variable" else {}
    with pytest.raises(LockError, match="with a user or a password") as caught:
        find_archive(settings, variables, tmp_path)
    assert "netrc" in caught.value.hint
    assert "tr0ub4dor" not in caught.value.shown()
