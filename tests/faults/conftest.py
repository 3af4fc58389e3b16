"""The project that most of these tests begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.world import CONFIG, PREDICTOR

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a small model, never locked or built."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "cog.yaml").write_text(CONFIG)
    (folder / "run.py").write_text(PREDICTOR)
    return folder
