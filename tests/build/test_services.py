"""What a Nix is found with: the caches and builders that count, and what it has to see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from cog_nix.build.services import Services
from cog_nix.config.model import NixSettings, Project, Settings
from cog_nix.container import choose
from cog_nix.plugins.manager import load
from cog_nix.store.caches import VARIABLES, Caches
from tests.reporters import Warnings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class _Found:
    """What stands for a Nix."""

    caches: Caches = field(default_factory=Caches)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[choose.Place]:
    """Return where a Nix was looked for, by a user who has said nothing yet."""
    found: list[choose.Place] = []

    def choosing(place: choose.Place, _discover: Callable[[], object]) -> _Found:
        found.append(place)
        return _Found()

    monkeypatch.setattr(choose, "choose", choosing)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "model"
    folder.mkdir()
    return Project(folder, folder / "cog.yaml")


def test_a_container_sees_caches_in_folders(
    places: list[choose.Place], project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    urls = f"https://c file://{tmp_path}/cache file://{tmp_path}/none"
    monkeypatch.setenv(VARIABLES["substituters"], urls)
    monkeypatch.setenv("COG_CACHE_DIR", str(tmp_path / "weights"))  # a machine may have some
    services = Services(load(), Warnings(), tmp_path)
    found = services.nix(project, Settings(), beside=[tmp_path / "key"])
    assert found.caches.substituters == tuple(urls.split())
    assert [*places[0].folders] == [project.root, tmp_path / "cache", tmp_path / "key"]
    assert services.nix(project, Settings(), offline=True).caches == Caches()
    monkeypatch.setenv(VARIABLES["trusted_public_keys"], "team-1:x")  # counts for what an archive has
    assert services.nix(project, Settings(), offline=True).caches == Caches(trusted_public_keys=("team-1:x",))


def test_what_a_project_names_does_not_count_by_itself(
    places: list[choose.Place], project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reporter = Warnings()
    settings = Settings(nix=NixSettings(substituters=("https://c",), builders=("ssh-ng://b",)))
    monkeypatch.setenv(VARIABLES["builders"], "ssh-ng://other aarch64-linux")
    found = Services(load(), reporter, tmp_path).nix(project, settings)
    assert len(places) == 1
    assert found.caches == Caches(builders=("ssh-ng://other aarch64-linux",))
    assert ["cog-nix cache trust" in one for one in reporter.warnings] == [True, False]
    assert "ssh-ng://other is not for x86_64-linux" in reporter.warnings[1]
