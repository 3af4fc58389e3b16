"""A new project is a working one, and nothing of the user's is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.build.interface import read_api
from cog_nix.cli.app import run
from cog_nix.config import load
from cog_nix.project import template
from cog_nix.project.find import find_project
from cog_nix.run_commands.ensure import check
from cog_nix.runtime.inputs import prepare_inputs, read_inputs
from cog_nix.runtime.schema import ApiSchema

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_new_project_can_be_built_and_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["init"]) == 0
    said = capfd.readouterr()
    assert said.out == ""
    assert [line for line in said.err.splitlines() if line.startswith("Creating")] == [
        f"Creating {name}" for name in template.FILES
    ]

    project = find_project(tmp_path)
    loaded = load(project)
    assert not loaded.warnings
    assert check(project, loaded.config) == []
    schema = ApiSchema.parse(read_api(project, loaded.config, None).document("0"))
    assert prepare_inputs(read_inputs(("text=world",), ""), schema) == {"text": "world"}


def test_what_is_there_is_left_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.py").write_text("mine")
    (tmp_path / "cog.yaml").symlink_to("nowhere")
    assert run(["init"]) == 0
    assert (tmp_path / "run.py").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    said = capfd.readouterr().err
    assert "Skipped existing run.py\n" in said
    assert "Skipped existing cog.yaml\n" in said
    assert "Creating requirements.txt\n" in said


def test_it_takes_no_arguments(tmp_path: Path) -> None:
    assert run(["init", "name"]) == 2
    assert list(tmp_path.iterdir()) == []
