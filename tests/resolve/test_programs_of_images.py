"""A program that the source starts is in an image whose project names no system package."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).parent / "projects/starts-a-program"

pytestmark = [pytest.mark.nix, pytest.mark.docker, pytest.mark.network]


def test_it_runs_in_the_image(built_copy: Callable[[Path], Path]) -> None:
    folder = built_copy(PROJECT)
    lock = json.loads((folder / "cog-nix.lock").read_text())
    assert lock["programs"] == ["jq"]
    assert ["jq", "The project: run.py starts jq"] in lock["reasons"]
    program = "from run import Runner; print(Runner().run())"
    done = subprocess.run(
        ["docker", "run", "--rm", f"cog-nix-test-{folder.name}:latest", "python", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "42"), done.stderr


def test_a_first_call_of_another_program_is_told_until_it_is_locked(
    built_copy: Callable[[Path], Path], tmp_path: Path
) -> None:
    for name in ("cog.yaml", "run.py", "cog-nix.lock"):
        shutil.copy(built_copy(PROJECT) / name, tmp_path)
    build = ("build", "--no-load")
    assert "starts" not in cog_nix(*build, cwd=tmp_path).stderr
    source = tmp_path / "run.py"
    source.write_text(source.read_text().replace("6 * 7", "6 * 8"))
    assert "starts" not in cog_nix(*build, cwd=tmp_path).stderr
    source.write_text(
        f"{source.read_text()}\n\ndef more() -> None:\n    subprocess.run(['bc', '--version'])\n"
    )
    told = "run.py:14 starts bc, which cog-nix.lock was made without: `cog-nix lock` adds its package"
    for _ in range(2):
        assert told in cog_nix(*build, cwd=tmp_path).stderr
    assert "Adding bc: run.py:14 starts bc" in cog_nix("lock", cwd=tmp_path).stderr
    assert "run.py:14 starts bc" in cog_nix("lock", "--explain", "bc", cwd=tmp_path).stdout
    assert "up to date" in cog_nix("lock", cwd=tmp_path).stderr
