"""Images built with the real Nix, each in a store of its own that nothing else uses."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stream

from conftest import copy_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
_SOURCES = [str(ROOT / part) for part in ("", "hooks")]


@dataclass(frozen=True)
class Build:
    """A project folder and the store it is built in."""

    project: Path
    store: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable
    uid: int | None = None

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run cog-nix in the project."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(_SOURCES),
            "COG_NIX_STORE": str(self.store),
            **self.environment,
        }
        ran: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
            [self.python, "-B", "-m", "cog_nix", *arguments],
            cwd=self.project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            **({} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}),
        )
        if check and ran.returncode:
            pytest.fail(f"cog-nix {' '.join(arguments)} ended with {ran.returncode}\n{ran.stderr}")
        return ran

    def image(self) -> stream.Image:
        """Build the image and read its description."""
        self.run("build", "--no-load")
        return stream.read(self.path())

    @staticmethod
    def sources() -> list[str]:
        """Return the folders of our own packages."""
        return _SOURCES

    def path(self) -> Path:
        """Return where the built image really is."""
        return self.store / "nix/store" / (self.project / "result").readlink().name


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Return a folder that other users may look into, unlike pytest's; Nix makes parts of it read-only."""
    made = Path(tempfile.mkdtemp(prefix="cog-nix-test-"))
    made.chmod(0o755)
    yield made
    subprocess.run(["chmod", "-R", "u+w", str(made)], check=False, capture_output=True)
    shutil.rmtree(made, ignore_errors=True)


def _copy(folder: Path, name: str, lock: Path | None = None) -> Path:
    project = copy_project(ROOT / "examples/hello-world", folder / name)
    if lock:
        shutil.copy(lock, project / "cog-nix.lock")
    return project


@pytest.fixture(scope="session")
def copy(folder: Path) -> Callable[..., Path]:
    """Return a function that copies hello-world to a folder of this name, with a lock."""
    return functools.partial(_copy, folder)


@pytest.fixture(scope="session")
def hello(folder: Path) -> tuple[Build, stream.Image]:
    """Return hello-world, locked and built once in a store of its own."""
    build = Build(_copy(folder, "hello-world"), folder / "store")
    return build, build.image()


@pytest.fixture(scope="session")
def make_build() -> Callable[..., Any]:
    """Return :class:`Build`."""
    return Build
