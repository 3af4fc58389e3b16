"""Tables of cog-nix.toml that plugins declare."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from cog_nix.config import load_settings, setting
from cog_nix.config.model import Project, Settings, SystemSettings
from cog_nix.config.setting import SettingsTable
from cog_nix.errors import ConfigError
from cog_nix.plugins import manager
from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class _Fern(SystemSettings):
    shade: bool = False


class _Plugin:
    @hookimpl
    def declare_settings(self) -> list[SettingsTable]:
        keys = {
            "suite": setting.text('suite = "moss"', "the name of a suite", "[a-z]+"),
            "shade": setting.switch("shade = true"),
        }
        return [SettingsTable("fern", _Fern, keys)]


def _loaded() -> manager.Plugins:
    return manager.load({}, lambda: [SimpleNamespace(name="fern", load=_Plugin)])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, tmp_path / "cog.yaml")


def _read(project: Project, text: str) -> Settings:
    project.settings_path.write_text(text)
    return _loaded().settings(project)


def test_another_distribution_stands_in_the_place_of_the_built_in_one(project: Project) -> None:
    settings = _read(project, '[fern]\nsuite = "moss"\nshade = true\n[debian]\nsuite = "trixie"\n')
    assert settings.system == settings.table(_Fern) == _Fern(suite="moss", shade=True)


@pytest.mark.parametrize("there", [True, False])
def test_a_table_has_its_defaults(project: Project, *, there: bool) -> None:
    assert _loaded().settings(project if there else None).table(_Fern) == _Fern()


def test_errors_are_told_as_of_any_table(project: Project) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(project, "[fern]\nshades = true\nshade = 1\n[moss]\n")
    shown = caught.value.shown()
    assert "cog-nix.toml:2: " in shown
    assert 'Did you mean "shade"?' in shown
    assert "cog-nix.toml:3: fern.shade must be true or false" in shown
    assert 'cog-nix.toml:4: there is no setting "moss"' in shown


def test_who_asks_no_plugin_leaves_their_tables_alone(project: Project) -> None:
    project.settings_path.write_text("[fern]\nshades = true\n[python]\nlegacy = true\n")
    assert load_settings(project).python.legacy


def test_older_plugins_find_a_table_by_its_name(project: Project) -> None:
    settings = _read(project, "[debian]\nmirror = 'https://mirror.example.org/debian'\n")
    assert getattr(settings, "debian").mirror == "https://mirror.example.org/debian"  # noqa: B009 - untyped
    assert not hasattr(settings, "fedora")
