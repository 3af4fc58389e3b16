"""Where a project begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import ConfigError
from cog_nix.project.find import find_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("below", [".", "src", "src/deep/down"])
def test_the_nearest_cog_yaml_counts(tmp_path: Path, below: str) -> None:
    (tmp_path / "cog.yaml").touch()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "cog.yaml").touch()
    start = tmp_path / "model" / below
    start.mkdir(parents=True, exist_ok=True)
    project = find_project(start, None)
    assert project.root == tmp_path / "model"
    assert project.config_path == tmp_path / "model" / "cog.yaml"


def test_another_name(tmp_path: Path) -> None:
    (tmp_path / "gpu.yaml").touch()
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "cog.yaml").touch()
    assert find_project(tmp_path / "src", "gpu.yaml").config_path == tmp_path / "gpu.yaml"


def test_a_name_in_a_folder_leaves_the_root_above(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "gpu.yaml").touch()
    assert find_project(tmp_path, "configs/gpu.yaml").root == tmp_path


def test_an_absolute_name(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "cog.yaml").touch()
    assert find_project(tmp_path, str(tmp_path / "model" / "cog.yaml")).root == tmp_path / "model"


def test_relative_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cog.yaml").touch()
    monkeypatch.chdir(tmp_path)
    from pathlib import Path as RealPath  # noqa: PLC0415

    assert find_project(RealPath(), "").root == tmp_path


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_project(tmp_path, None)
    assert caught.value.message == f"cog.yaml not found in {tmp_path} (or in any parent directories)"
    assert "cog-nix init" in caught.value.hint


def test_another_name_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gpu\.yaml not found in") as caught:
        find_project(tmp_path, "gpu.yaml")
    assert "-f" in caught.value.hint


@pytest.mark.parametrize("name", ["cog.yml", "Cog.yaml", "cog.yaml.txt"])
def test_nearly_the_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigError) as caught:
        find_project(tmp_path, None)
    assert f"-f {name}" in caught.value.hint


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        find_project(tmp_path, None)
