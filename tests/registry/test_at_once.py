"""Many pushes at once, as pipelines do them: processes that know nothing of each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conftest import EXAMPLES, ROOT, cog_nix, copy_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network]

_PUSHES = 16
_BLOBS = 6
"""Of hello-world: five layers and a configuration."""


@pytest.mark.parametrize("repository", ["me/model:v1", "me/model-{}:v1"], ids=["same", "own"])
def test_sixteen_pushes(start_registry: Callable[..., str], repository: str, tmp_path: Path) -> None:
    registry = start_registry()
    folder = copy_project(EXAMPLES / "hello-world", tmp_path / "hello-world")
    cog_nix("build", "--no-load", cwd=folder)
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    env = {**os.environ, "PYTHONPATH": paths}
    started = []
    for number in range(_PUSHES):
        target = f"{registry}/{repository.format(number)}"
        with (tmp_path / f"{number}.out").open("wb") as out, (tmp_path / f"{number}.log").open("wb") as log:
            command = [sys.executable, "-m", "cog_nix", "push", "--json", target]
            started.append(subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=log))
    digests, uploaded = set(), 0
    for number, process in enumerate(started):
        process.wait()
        told = (tmp_path / f"{number}.log").read_text()
        assert process.returncode == 0, told
        digests.add(json.loads((tmp_path / f"{number}.out").read_text())["image"].partition("@")[2])
        uploaded += int(re.search(r"Uploaded (\d+) of", told)[1])  # type: ignore[index]
    assert len(digests) == 1
    # Whoever asks before another has finished uploads as well: the protocol has nothing to wait by.
    assert uploaded <= _PUSHES * _BLOBS
    again = cog_nix("push", f"{registry}/{repository.format(0)}", cwd=folder)
    assert "Uploaded 0 of" in again.stderr
