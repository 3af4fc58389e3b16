"""hello-world as a stranger has it, and Debian's registry on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from conftest import EXAMPLES, ROOT, cog_nix, copy_project
from tests.registry.conftest import registry, start_registry  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Folder:
    """A project that has been built."""

    path: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run cog-nix in it."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks")),
        }
        for name in ("GITHUB_SHA", "GITHUB_REF_NAME"):
            environment.pop(name, None)
        return subprocess.run(
            [sys.executable, "-m", "cog_nix", *arguments],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return hello-world, locked and built; it is not written to."""
    project = copy_project(EXAMPLES / "hello-world", tmp_path_factory.mktemp("locked") / "hello-world")
    cog_nix("build", "--no-load", cwd=project)
    return project


@pytest.fixture
def hello(locked: Path, tmp_path: Path) -> Folder:
    """Return a copy of it."""
    return Folder(copy_project(locked, tmp_path / "hello-world", locked=True))
