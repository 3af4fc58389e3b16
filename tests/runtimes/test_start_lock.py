"""Models that are started at the same moment, whose servers would take each other's socket."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from cog_nix_hooks.bundle import start_lock
from cog_nix_hooks.bundle.start_lock import StartLock
from conftest import EXAMPLES, cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_name(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "built_copy" not in request.fixturenames:
        monkeypatch.setattr(start_lock, "_NAME", f"\0{request.node.name}")


def test_the_next_waits_for_the_end_of_the_one_before() -> None:
    first = StartLock()
    with ThreadPoolExecutor(1) as crew:
        second = crew.submit(StartLock)
        time.sleep(0.2)
        assert not second.done()
        first.end()
        second.result(10).end()


def test_a_turn_ends_by_itself() -> None:
    StartLock(lasts=0.1)
    StartLock(patience=30).end()


def test_nobody_waits_for_ever() -> None:
    first = StartLock()
    StartLock(patience=0.1).end()
    first.end()


@pytest.mark.nix
@pytest.mark.network
@pytest.mark.root
def test_predictions_at_the_same_moment(built_copy: Callable[[Path], Path], tmp_path: Path) -> None:
    project = tmp_path / "hello-world"
    shutil.copytree(built_copy(EXAMPLES / "hello-world"), project, symlinks=True)
    predict = ("predict", "--runtime", "bundle", "-i", "text=Ada")
    cog_nix(*predict, cwd=project)
    with ThreadPoolExecutor(4) as crew:
        for answer in [crew.submit(cog_nix, *predict, cwd=project) for _ in range(4)]:
            assert "Ada" in answer.result().stdout
