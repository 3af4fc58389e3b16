"""What images with the same PyTorch share, and what a small change leaves alone: gigabytes.

The image is the one that tests/examples builds, and nothing is loaded into Docker: what Docker keeps follows
from the diff ids, each of which it keys by those below.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.store.nix import discover
from conftest import EXAMPLES, cog_nix, copy_project

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.nix, pytest.mark.docker, pytest.mark.network]

DEMO = EXAMPLES / "torch-demo"
AGAIN = Path(__file__).parent / "projects/torch-again"


@dataclass(frozen=True)
class Image:
    """What an image consists of."""

    names: list[str]
    diff_ids: list[str]
    sizes: list[int]
    store: dict[str, int]
    """Bytes of each path in the Nix store that it needs."""

    @property
    def layers(self) -> dict[str, str]:
        """Diff ids by name."""
        return dict(zip(self.names, self.diff_ids, strict=True))

    @classmethod
    def of(cls, project: Path) -> Image:
        """Ask a project's ``./result``, and Nix."""
        asked = [str(project / "result"), "--inspect"]
        told = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
        nix = discover()
        query = nix.command("nix-store", "--query", "--requisites", str((project / "result").readlink()))
        needed = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
        sizes = subprocess.run(
            nix.command("nix-store", "--query", "--size", *needed), capture_output=True, text=True, check=True
        ).stdout.split()
        return cls(
            told["names"], told["diff_ids"], told["sizes"], dict(zip(needed, map(int, sizes), strict=True))
        )


@pytest.fixture(scope="module")
def demo(built_copy: Callable[[Path], Path]) -> tuple[Path, Image]:
    """Return the built example, and what it consists of."""
    folder = built_copy(DEMO)
    return folder, Image.of(folder)


def _heavy(image: Image) -> dict[str, str]:
    return {
        name: one for name, one in image.layers.items() if name.startswith(("nvidia-", "torch", "triton"))
    }


def _in_docker(before: Image, after: Image) -> tuple[set[str], int]:
    """Return the layers that Docker unpacks for an image when it has another one, and their bytes."""
    pairs = zip(before.diff_ids, after.diff_ids, strict=False)
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    return set(after.names[shared:]), sum(after.sizes[shared:])


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        pytest.param(
            ("requirements.txt", "numpy", "einops\nnumpy"), {"python-packages", "source"}, id="requirement"
        ),
        pytest.param(("run.py", "There is no GPU here", "No GPU here"), {"source"}, id="source"),
    ],
)
def test_a_small_change_leaves_cuda_and_torch_alone(
    demo: tuple[Path, Image], tmp_path: Path, edit: tuple[str, str, str], changed: set[str]
) -> None:
    file, former, new = edit
    built, before = demo
    folder = copy_project(built, tmp_path / built.name, locked=True)
    text = (folder / file).read_text()
    (folder / file).write_text(text.replace(former, new, 1))
    assert (folder / file).read_text() != text
    cog_nix("build", "--no-load", "--update-lock", cwd=folder)
    after = Image.of(folder)
    assert len(_heavy(before)) > 10
    assert _heavy(after) == _heavy(before)
    assert {name for name, one in after.layers.items() if before.layers[name] != one} <= changed
    assert _in_docker(before, after)[0] <= changed | {"linker"}  # a few kilobytes on top of all packages


def test_a_second_project_with_the_same_torch_adds_less_than_one_percent(
    demo: tuple[Path, Image], tmp_path: Path
) -> None:
    first = demo[1]
    folder = copy_project(AGAIN, tmp_path / AGAIN.name)
    cog_nix("build", "--no-load", cwd=folder)
    second = Image.of(folder)
    assert _heavy(second) == _heavy(first)
    # With torch in both, all of it counts: sizes in the store are those of the files that layers are made of.
    whole = sum(second.store.values())
    added = sum(size for path, size in second.store.items() if path not in first.store)
    assert whole > 5e9
    assert added < whole / 100
    assert _in_docker(first, second)[1] < sum(second.sizes) / 100
