from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cog_nix.fetch.store import Store
from cog_nix.lock.model import Artifact
from cog_nix.report import SilentReporter
from tests.registry.conftest import registry, start_registry  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Listener(SilentReporter):
    """Remembers warnings."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, text: str) -> None:  # type: ignore[override]
        self.warned.append(text)


@pytest.fixture
def reporter() -> Listener:
    return Listener()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes], tuple[Artifact, Path]]:
    """Return a function that makes a file; it returns it with what a lock says of it."""

    def make(name: str, content: bytes) -> tuple[Artifact, Path]:
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return Artifact(name, "", hashlib.sha256(content).hexdigest(), len(content)), folder / name

    return make


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def downloads(cache: Path) -> Store:
    return Store(cache / "downloads/sha256")
