"""Whether an image has a program: links over several layers, what a layer removes, and mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cog_nix_hooks.bundle.layers import keep_whiteouts
from cog_nix_hooks.bundle.path_lookup import has_program

ENV = {"PATH": "/usr/local/bin:/bin"}


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for folder in ("usr/bin", "src"):
        (lower / folder).mkdir(parents=True)
    (lower / "bin").symlink_to("usr/bin")
    for name in ("sh", "gone", "src/tool"):
        (lower / name if "/" in name else lower / "usr/bin" / name).touch()
    (upper / "usr/bin").mkdir(parents=True)
    (upper / "usr/bin/.wh.gone").touch()
    (upper / "usr/bin/python").symlink_to("/opt/python")
    (upper / "opt").mkdir()
    (upper / "opt/python").symlink_to("../usr/bin/../bin/sh")
    (upper / "usr/bin/loop").symlink_to("loop")
    (upper / "usr/bin/dangling").symlink_to("/nowhere")
    keep_whiteouts(upper)
    return [lower, upper]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("sh", True, id="through-a-linked-folder"),
        pytest.param("python", True, id="links-from-layer-to-layer"),
        pytest.param("/usr/bin/sh", True, id="path"),
        pytest.param("./tool", True, id="relative-path"),
        pytest.param("tool", False, id="not-in-path"),
        pytest.param("gone", False, id="removed-by-a-layer"),
        pytest.param("loop", False, id="link-to-itself"),
        pytest.param("dangling", False, id="link-to-nothing"),
        pytest.param("/mnt/anything", True, id="mounted"),
        pytest.param("/deep/in/nowhere/x", True, id="mounted-where-nothing-is"),
        pytest.param("/deep/in/x", False, id="on-the-way-to-a-mount"),
        pytest.param("sh/x", False, id="below-a-file"),
    ],
)
def test_programs(name: str, found: bool, layers: list[Path]) -> None:  # noqa: FBT001 - a case's value
    mounts = [(Path("/there"), "/mnt"), (Path("/there"), "/deep/in/nowhere")]
    assert has_program(name, ENV, "/src", layers, mounts) is found
