"""What stays out of the Nix store, and what Nix is told of a project then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.build.nix_arguments import nix_arguments, selected
from cog_nix.build.outside import outside_of_store
from cog_nix.build.services import Services
from cog_nix.config import load_config
from cog_nix.config.model import Project
from cog_nix.plugins import manager
from cog_nix.project.large import CROWD, LEAST
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """Return a function that returns what Nix is told of the project in ``tmp_path/project``."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "cog.yaml").write_text('build:\n  python_version: "3.13"\npredict: run.py:Runner\n')
    (root / "run.py").touch()
    services = Services(manager.load(), SilentReporter(), tmp_path / "cache")

    def arguments() -> dict[str, Any]:
        project = Project(root, root / "cog.yaml")
        config = load_config(project)
        included = selected(project, config)
        outside = outside_of_store(project, config, included, services, budget=60)
        return nix_arguments(project, config, {}, "tag", "", included=included, outside=outside)

    return arguments


def test_nix_is_told_where_large_files_are_described(
    arguments: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    assert "weights" not in arguments()
    path = tmp_path / "project/model/a.bin"
    path.parent.mkdir()
    path.touch()
    os.truncate(path, LEAST)
    told = arguments()
    assert "model" in told["included"]
    assert "model/a.bin" not in told["included"]
    (layer,) = told["weights"]
    assert layer["name"] == "weights"
    assert {one.name for one in Path(layer["path"]).iterdir()} == {
        *("fragment.json", "directories.tar", "headers.tar", "files.tsv")
    }


def test_nix_looks_into_no_folder_that_has_nothing_for_it(
    arguments: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    for number in range(CROWD):
        path = root / f"data/{number % 5}/{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert {one for one in arguments()["included"] if one.startswith("data")} == set()
    (root / "data/3/load.py").touch()
    (root / "data/link").symlink_to("3/load.py")
    told = {one for one in arguments()["included"] if one.startswith("data")}
    assert told == {"data", "data/3", "data/3/load.py", "data/link"}


def test_a_large_file_that_a_build_reads_stays_where_it_sees_it(
    arguments: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "project/.dockerignore").write_text("#" * LEAST)
    told = arguments()
    assert "weights" not in told
    assert ".dockerignore" in told["included"]
