"""The label ``run.cog.pip_freeze`` is what pip prints in the image."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.docker]

PACKAGES = [
    "PyYAML",
    "zope.interface",
    "ruamel.yaml",
    "MarkupSafe",
    "jaraco.text",
    "prometheus_client",
    "Pygments",
    "six",
]


def test_label_is_what_pip_prints(build_project: Callable[[Path], str], tmp_path: Path) -> None:
    project = tmp_path / "freeze"
    project.mkdir()
    (project / "requirements.txt").write_text("\n".join(PACKAGES))
    (project / "run.py").write_text("class Runner:\n    def run(self) -> str:\n        return ''\n")
    (project / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\n  python_requirements: requirements.txt\nrun: run.py:Runner\n'
    )
    (project / ".dockerignore").write_text("requirements.txt\n")
    image = build_project(project)
    printed = subprocess.run(
        ["docker", "run", "--rm", image, "python", "-m", "pip", "freeze"],
        check=True,
        capture_output=True,
        text=True,
    )
    inspected = subprocess.run(["docker", "inspect", image], check=True, capture_output=True, text=True)
    label = json.loads(inspected.stdout)[0]["Config"]["Labels"]["run.cog.pip_freeze"]
    assert label == printed.stdout
    assert {line.partition("==")[0] for line in label.splitlines()} >= {*PACKAGES, "cog", "coglet"}
