"""The flake that a project is given: the image of ``cog-nix build``, with an old Nix and with our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.plugins import bring
from cog_nix.report import SilentReporter
from conftest import copy_project

from .test_flake import OPTIONS, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    import stream

pytestmark = [pytest.mark.nix, pytest.mark.network]


def test_a_projects_flake_builds_and_runs_what_the_command_line_builds(
    hello: tuple[Any, stream.Image], make_build: Callable[..., Any], copy: Callable[..., Path], tmp_path: Path
) -> None:
    first, _ = hello
    checkout = tmp_path / "cog-nix"
    for part in ("nix", "cog_nix"):
        copy_project(ROOT / part, checkout / part)
    (checkout / "examples").mkdir()
    shutil.copy(ROOT / "flake.nix", checkout)
    build = make_build(copy("flaked", first.project / "cog-nix.lock"), first.store)
    build.run("flake", "init", "--input", f"path:{checkout}")
    image = build.image()
    (build.project / "result").unlink()
    git(build.project, "init", "-q")
    git(build.project, "add", "-A")
    own = bring.bring("nix", SilentReporter())
    assert own
    for programs in (None, own):
        nix = str(programs / "nix") if programs else "nix"
        options = [*OPTIONS, "--store", str(first.store)]
        built = subprocess.run(
            [nix, "build", *options, "--no-link", "--json"],
            cwd=build.project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stderr
        path = first.store / "nix/store" / Path(json.loads(built.stdout)[0]["outputs"]["out"]).name
        described = json.loads(subprocess.check_output([path, "--inspect"]))
        assert described["diff_ids"] == [layer["diff_id"] for layer in image["layers"]]
        assert described["tag"] == image["tag"]
        program = subprocess.run(
            [nix, "eval", *options, "--raw", f"git+file://{build.project}#apps.x86_64-linux.default.program"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert program.returncode == 0, program.stderr
        assert Path(program.stdout).name == path.name


def git(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null"}
    subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True)
