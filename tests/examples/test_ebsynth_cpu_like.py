"""Synthesis by example: the C++ of examples/ebsynth-cpu-like is compiled in the build and paints well."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from conftest import EXAMPLES, cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EXAMPLE = EXAMPLES / "ebsynth-cpu-like"
SAMPLES = tuple(f"{name}=@{name}.png" for name in ("style", "source_guide", "target_guide"))
ASKED = [word for sample in SAMPLES for word in ("-i", sample)]

builds = [pytest.mark.docker, pytest.mark.network, pytest.mark.nix]

JUDGE = """
import json, sys
import numpy as np
from PIL import Image
from guided_patchmatch import synthesize

style, source, target = (np.asarray(Image.open(f"{n}.png").convert("RGB")).astype(int)
                         for n in ("style", "source_guide", "target_guide"))
shuffled = np.random.default_rng(0).permutation(style.reshape(-1, 3)).reshape(style.shape)
# What a pixel of the style with the same guide looks like: no synthesis, a table.
known = {tuple(g): c for g, c in zip(source.reshape(-1, 3), style.reshape(-1, 3))}
keys, colours = np.array(list(known)), np.array(list(known.values()))
looked_up = colours[[((keys - g) ** 2).sum(1).argmin() for g in target.reshape(-1, 3)]].reshape(target.shape)
painted = synthesize(style, source, target).astype(int)
same = synthesize(style, source, source, guide_weight=8).astype(int)
print(json.dumps({
    "size": list(painted.shape),
    "from_table": float(abs(painted - looked_up).mean()),
    "chance": float(abs(shuffled - looked_up).mean()),
    "own_guide": float(abs(same - style).mean()),
}))
"""


@pytest.fixture(scope="module")
def project(built_copy: Callable[[Path], Path]) -> Path:
    """A built copy of examples/ebsynth-cpu-like."""
    return built_copy(EXAMPLE)


def paint(project: Path, output: Path, *options: str) -> str:
    """Paint the samples; return the hash of the picture."""
    said = cog_nix("predict", *ASKED, "-o", str(output), *options, cwd=project)
    assert re.search(r"Written output to: .*\.png", said.stderr)
    return hashlib.sha256(output.read_bytes()).hexdigest()


def test_ebsynth_cpu_like_builds_what_native_holds() -> None:
    with tarfile.open(EXAMPLE / "guided_patchmatch-1.0.tar.gz") as archive:
        files = {
            member.name.split("/", 1)[1]: stream.read()
            for member in archive
            if (stream := archive.extractfile(member))
        }
    assert files.pop("PKG-INFO")
    assert files == {path.name: path.read_bytes() for path in (EXAMPLE / "native").iterdir()}


@pytest.mark.parametrize("runtime", ["docker", "bundle"])
class TestPicture:
    pytestmark = builds

    def test_is_the_same_for_a_seed(self, project: Path, runtime: str, tmp_path: Path) -> None:
        where = ("--runtime", runtime)
        first = paint(project, tmp_path / "first.png", *where)
        assert paint(project, tmp_path / "again.png", *where, "-i", "seed=0") == first
        assert paint(project, tmp_path / "other.png", *where, "-i", "seed=9") != first


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.nix
def test_ebsynth_cpu_like_paints_like_the_style(project: Path) -> None:
    command = ["docker", "run", "--rm", "-i", "cog-nix-test-ebsynth-cpu-like", "python", "-"]
    done = subprocess.run(command, input=JUDGE, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["size"] == [128, 128, 3]
    assert seen["own_guide"] < 2, "with its own guide the style comes back"
    assert seen["from_table"] < seen["chance"] / 5, "colours are where the guide wants them"


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.nix
def test_ebsynth_cpu_like_leaves_the_compiler_out(project: Path) -> None:
    image = "cog-nix-test-ebsynth-cpu-like"
    look = "command -v g++ cmake; ls /usr/local/lib/python3.13/site-packages/*.so"
    command = ["docker", "run", "--rm", image, "sh", "-c", look]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert [line.rpartition("/")[2].split(".")[0] for line in done.stdout.split()] == ["guided_patchmatch"]
