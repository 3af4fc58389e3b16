"""``nix build`` on the repository's flake makes the image that ``cog-nix build`` makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import copy_project

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = [
    *("--extra-experimental-features", "nix-command flakes"),
    *(
        "--option",
        "substitute",
        "false",
        "--option",
        "sandbox",
        "true",
        "--option",
        "sandbox-fallback",
        "false",
    ),
    *("--option", "sandbox-paths", "", "--option", "build-users-group", ""),
]

pytestmark = [pytest.mark.nix, pytest.mark.network]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the parts that the flake needs, with one example."""
    folder = tmp_path / "checkout"
    for part in ("nix", "cog_nix", "examples/hello-world"):
        copy_project(ROOT / part, folder / part)
    shutil.copy(ROOT / "flake.nix", folder)
    return folder


def test_flake_builds_every_locked_example_like_the_command_line(checkout: Path, tmp_path: Path) -> None:
    example = checkout / "examples/hello-world"
    store = tmp_path / "store"
    path = os.pathsep.join([str(checkout), str(ROOT / "hooks")])
    env = {**os.environ, "PYTHONPATH": path, "COG_NIX_STORE": str(store)}
    subprocess.run(
        [sys.executable, "-m", "cog_nix", "build", "--no-load"],
        cwd=example,
        env=env,
        check=True,
        capture_output=True,
    )
    built = json.loads(subprocess.check_output([example / "result", "--inspect"]))
    (example / "result").unlink()

    reference = f"path:{checkout}#hello-world"
    command = ["nix", "build", *OPTIONS, "--store", str(store), "--no-link", "--json", reference]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    result = store / "nix/store" / Path(json.loads(finished.stdout)[0]["outputs"]["out"]).name
    flake = json.loads(subprocess.check_output([result, "--inspect"]))

    assert flake["id"] == built["id"]
    assert flake["tag"] == built["tag"] == "cog-hello-world:latest"


def test_flake_offers_nothing_that_is_not_locked(checkout: Path) -> None:
    packages = f'(builtins.getFlake "path:{checkout}").packages'
    expression = f"builtins.mapAttrs (_: builtins.attrNames) {packages}"
    command = ["nix", "eval", *OPTIONS, "--impure", "--json", "--expr", expression]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {"aarch64-linux": [], "x86_64-linux": []}
