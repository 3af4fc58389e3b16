"""``cog-nix config``, as a user runs it: no Nix, no Docker, no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import copy_project

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = ROOT / "tests/config/projects/everything"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    copy_project(EVERYTHING, tmp_path)
    (tmp_path / "run.py").write_text("class Runner:\n    async def run(self) -> str:\n        return ''\n")
    return tmp_path


def test_compact_has_the_labels_bytes(project: Path, cog_nix: Command) -> None:
    done = cog_nix(project, "config", "--compact")
    assert (done.returncode, done.stdout) == (0, (EVERYTHING / "expected.json").read_text().rstrip("\n"))


def test_readable_form_has_the_labels_keys_in_their_order(project: Path, cog_nix: Command) -> None:
    label = json.loads((EVERYTHING / "expected.json").read_text())
    done = cog_nix(project, "config")
    assert done.stdout == json.dumps(label, indent=2, ensure_ascii=False) + "\n"


def test_warnings_go_to_stderr(project: Path, cog_nix: Command) -> None:
    (project / "cog.yaml").write_text('build:\n  python_version: "3.13"\n  pyton: 1\n')
    done = cog_nix(project, "config", "--compact")
    assert done.stdout == '{"build":{"python_version":"3.13"}}'
    assert 'warning: cog.yaml:3: there is no key "build.pyton" in cog.yaml; it is ignored' in done.stderr


def test_concurrency_of_the_decorator_is_there(tmp_path: Path, cog_nix: Command) -> None:
    (tmp_path / "other.yaml").write_text(
        'build:\n  python_version: "3.13"\nrun: run.py:Runner\nenvironment: [A=1]\n'
    )
    (tmp_path / "run.py").write_text(
        "import cog\nclass Runner:\n    @cog.concurrent(max=3)\n    async def run(self) -> str: ...\n"
    )
    done = cog_nix(tmp_path, "config", "--compact", "-f", "other.yaml")
    label = '{"build":{"python_version":"3.13"},"predict":"run.py:Runner",'
    assert done.stdout == label + '"concurrency":{"max":3},"environment":["A=1"]}'


def test_every_problem_is_told_at_once(tmp_path: Path, cog_nix: Command) -> None:
    (tmp_path / "cog.yaml").write_text("build:\n  gpu: 1\n  python_version: '3.1'\nconcurrency: 2\n")
    done = cog_nix(tmp_path, "config")
    assert (done.returncode, done.stdout) == (1, "")
    for line in ("cog.yaml:2: ", "cog.yaml:3: ", "cog.yaml:4: "):
        assert line in done.stderr
    assert "Traceback" not in done.stderr
