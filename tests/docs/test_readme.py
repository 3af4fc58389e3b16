"""The README's first steps and the tutorial are executed from top to bottom, as somebody would paste them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .pages import ROOT, Block, blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.nix, pytest.mark.docker]

_SHIM = """\
#!/bin/sh
PYTHONPATH={path} exec {python} -m cog_nix "$@"
"""
_BETWEEN = "=== end of block {} ==="


def walk_through(page: Path, info: str) -> list[tuple[Block, Block | None]]:
    """Return the blocks of a page that are run, each with what it is said to print."""
    found = list(blocks(page))
    following = [*found[1:], None]
    return [
        (block, after if after and after.info == "text" else None)
        for block, after in zip(found, following, strict=True)
        if block.info == info
    ]


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    """Return a folder with a cog-nix that runs this checkout."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    program = folder / "cog-nix"
    program.write_text(_SHIM.format(path=path, python=sys.executable))
    program.chmod(0o755)
    return folder


def follow(steps: list[tuple[Block, Block | None]], shim: Path, work: Path, **texts: str) -> None:
    """Paste blocks into one shell, one after the other; compare what they print.

    Args:
        steps: what :func:`walk_through` returned.
        shim: the folder of a cog-nix.
        work: where it begins.
        texts: what stands in the blocks, and what is pasted in its place.
    """
    script = "".join(
        f"{block.body}echo '{_BETWEEN.format(index)}'\n" for index, (block, _) in enumerate(steps)
    )
    for old, new in texts.items():
        script = re.sub(rf"^{old}=.*$", f"{old}={new}", script, flags=re.MULTILINE)
    work.mkdir()
    env = {**os.environ, "PATH": f"{shim}{os.pathsep}{os.environ['PATH']}"}

    finished = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=work,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    rest = finished.stdout
    for index, (block, expected) in enumerate(steps):
        printed, _, rest = rest.partition(_BETWEEN.format(index) + "\n")
        if expected:
            assert printed == expected.body, block.name


def test_the_first_steps_do_what_they_say(shim: Path, tmp_path: Path) -> None:
    steps = walk_through(ROOT / "README.md", "sh runnable")
    assert len(steps) >= 4
    follow(steps, shim, tmp_path / "work")


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(
    shim: Path, tmp_path: Path, start_registry: Callable[..., str]
) -> None:
    steps = walk_through(ROOT / "docs/tutorial.md", "sh tutorial")
    assert len(steps) >= 7
    follow(steps, shim, tmp_path / "work", REGISTRY=start_registry())


def test_the_gpu_model_can_be_described(shim: Path, tmp_path: Path) -> None:
    """Make the folder as it is pasted; its build of 6 GB is that of examples/torch-demo."""
    [block] = [block for block in blocks(ROOT / "README.md") if block.info == "sh folder"]
    pasted = block.body.replace("cog-nix run -i rows=500\n", "cog-nix schema\n")
    assert pasted != block.body
    (work := tmp_path / "work").mkdir()
    env = {**os.environ, "PATH": f"{shim}{os.pathsep}{os.environ['PATH']}"}

    document = subprocess.run(
        ["bash", "-e", "-c", pasted], cwd=work, env=env, check=True, stdout=subprocess.PIPE
    ).stdout

    inputs = json.loads(document)["components"]["schemas"]["Input"]["properties"]
    assert list(inputs) == ["rows"]
    example = ROOT / "examples/torch-demo/requirements.txt"
    assert (tmp_path / "multiplier/requirements.txt").read_text() == example.read_text()


def test_what_it_prints_about_packages(shim: Path, tmp_path: Path) -> None:
    """Look for the line that the prose quotes."""
    config = tmp_path / "cog.yaml"
    config.write_text('build:\n  python_version: "3.13"\n')

    def lock() -> str:
        finished = subprocess.run(
            [shim / "cog-nix", "lock"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stderr

    lock()
    config.write_text(f"{config.read_text()}  system_packages: [figlet]\n")

    assert "added    figlet " in lock()
