"""``cog-nix check --against`` with images that were built, in Docker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network, pytest.mark.docker, pytest.mark.slow]

CONFIG = 'build:\n  python_version: "3.13"\nrun: "run.py:Runner"\n'
SOURCE = """\
from cog import BaseRunner, Input


class Runner(BaseRunner):
    def run(self, text: str, times: int = Input(default=1, ge=1, le={most})) -> str:
        if times > 12:
            raise ValueError("out of breath")
        return {answer}
"""
CHECKS = """\
[[check]]
name = "twice"
input = { text = "ab", times = 2 }
output = "abab"

[[check]]
name = "too often"
input = { text = "ab", times = 21 }
refused = "maximum of 20"

[[check]]
name = "fails"
input = { text = "ab", times = 13 }
refused = "out of breath"
"""
OLD, NEW, LESS = (f"cog-nix-test-release:{name}" for name in ("old", "new", "less"))


def cog_nix(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))}
    return subprocess.run(
        [sys.executable, "-m", "cog_nix", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose versions are in Docker."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "cog.yaml").write_text(CONFIG)
    versions = {OLD: (20, "text * times"), NEW: (20, "'' + times * text"), LESS: (9, "text * times")}
    for tag, (most, answer) in versions.items():
        (folder / "run.py").write_text(SOURCE.format(most=most, answer=answer))
        built = cog_nix(folder, "build", "-t", tag)
        assert built.returncode == 0, built.stderr
    (folder / "cog-nix.toml").write_text(CHECKS)
    return folder


def test_a_release_that_answers_the_same_may_take_the_place(project: Path) -> None:
    ran = cog_nix(project, "check", NEW, "--against", OLD, "--exact", "--json", "--random", "20")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert found["compatible"]
    outcomes = [(one["name"], one["outcome"], one["detail"]) for one in found["trials"] if not one["drawn"]]
    assert outcomes == [(name, "pass", "") for name in ("twice", "too often", "fails")]
    drawn = {one["outcome"] for one in found["trials"] if one["drawn"]}
    assert drawn == {"pass", "not applicable"}, "13 to 20 times are too many for both"


def test_one_that_accepts_less_may_not(project: Path) -> None:
    ran = cog_nix(project, "check", LESS, "--against", OLD, "--random", "5", "--junit", "report.xml")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "breaks   input times  maximum is 9, it was 20" in ran.stdout
    assert f"A client of {OLD} cannot use {LESS}" in ran.stdout
    assert "<failure" in (project / "report.xml").read_text()


def test_what_a_project_declares_is_tried_on_one_image(project: Path) -> None:
    ran = cog_nix(project, "check", OLD, "--case", "twice", "--case", "fails", "--case", "root")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 promises kept, 0 broken" in ran.stdout
