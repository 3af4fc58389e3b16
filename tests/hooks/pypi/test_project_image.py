"""A project with a uv.lock, built: its image has what ``uv sync --frozen`` installs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import uv
from packaging.utils import canonicalize_name

from conftest import cog_nix

from .conftest import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.docker, pytest.mark.network, pytest.mark.slow]

_IMAGE = "cog-nix-test-uv-lock"
_PYPROJECT = """\
[project]
name = "model"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["cog==0.23.1", "rich<14", "tiny", "colorama; sys_platform == 'win32'"]

[project.optional-dependencies]
table = ["tabulate"]
unused = ["humanize"]

[dependency-groups]
serve = ["idna>=3"]
dev = ["iniconfig"]

[tool.uv]
override-dependencies = ["pygments==2.17.2"]

[tool.uv.sources]
tiny = { path = "vendor/tiny-1.0-py3-none-any.whl" }
"""
_CHOSEN = ("--extra", "table", "--no-default-groups", "--group", "serve")


def _uv(project: Path, *words: str) -> str:
    env = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(project.parent / "environment")}
    command = [uv.find_uv_bin(), *words]
    return subprocess.run(command, cwd=project, env=env, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "vendor").mkdir(parents=True)
    (folder / "vendor/tiny-1.0-py3-none-any.whl").write_bytes(wheel("tiny", "1.0"))
    (folder / "pyproject.toml").write_text(_PYPROJECT)
    (folder / "cog.yaml").write_text(
        'build:\n  python_version: "3.11"\n  python_requirements: uv.lock\nrun: "run.py:Runner"\n'
    )
    (folder / "cog-nix.toml").write_text('[python]\nextras = ["table"]\ngroups = ["serve"]\n')
    (folder / "run.py").write_text(
        "from cog import BaseRunner\nclass Runner(BaseRunner):\n    def run(self) -> str: return ''\n"
    )
    _uv(folder, "lock", "--python", sys.executable, "--upgrade-package", "rich==13.7.0")
    return folder


@pytest.fixture
def image(project: Path) -> Iterator[str]:
    assert "Image built" in cog_nix("build", "-t", _IMAGE, cwd=project).stderr
    yield _IMAGE
    subprocess.run(["docker", "rmi", "--force", _IMAGE], check=True, capture_output=True)


def test_the_image_has_what_uv_sync_installs(project: Path, image: str) -> None:
    _uv(project, "sync", "--frozen", "--no-install-workspace", "--python", sys.executable, *_CHOSEN)
    synced = _uv(project, "pip", "freeze", "--python", str(project.parent / "environment"))
    command = ["docker", "run", "--rm", "--network=none", image, "pip", "freeze"]
    frozen = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    expected = _by_name(synced.replace(project.as_uri(), "file:///src"))
    assert _by_name(frozen) == expected
    assert (expected["rich"], expected["pygments"]) == ("==13.7.0", "==2.17.2")
    assert expected["tiny"].startswith(" @ file:///src/vendor/tiny-1.0")
    assert {"tabulate", "idna", "cog"} < expected.keys()
    assert not {"humanize", "iniconfig", "colorama"} & expected.keys()


def _by_name(frozen: str) -> dict[str, str]:
    """Return what stands behind each name; pip writes it as the package does, and a file's hash as well."""
    found = (re.fullmatch(r"([\w.-]+)((?: @ |==)[^#]*)(?:#.*)?", line) for line in frozen.splitlines())
    return {canonicalize_name(one[1]): one[2] for one in found if one}
