"""What a build hands to Nix: labels, and the files it may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.build.nix_arguments import nix_arguments, selected
from cog_nix.build.options import BuildOptions, labels
from cog_nix.config.model import Build, Config, Observability, Project, Traces, Weight
from cog_nix.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "cog.yaml").touch()
    return Project(tmp_path, tmp_path / "cog.yaml")


def test_annotations_replace_what_git_says(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SHA", "abc")
    monkeypatch.setenv("GITHUB_REF_NAME", "main")
    revision, version = "org.opencontainers.image.revision", "org.opencontainers.image.version"
    assert labels(project, BuildOptions(labels={revision: "mine", "x": "y"})) == {
        revision: "mine",
        version: "main",
        "x": "y",
    }


def test_our_own_labels_cannot_be_replaced(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"--annotation run\.cog\.nix\.lock: "):
        labels(project, BuildOptions(labels={"run.cog.nix.lock": "x"}))


def test_files_that_the_image_leaves_out_and_the_build_reads(project: Project) -> None:
    root = project.root
    (root / "hidden").mkdir()
    for name in ("hidden/trace.py", "r.txt", "weights.lock", "dist.whl", "secret"):
        (root / name).touch()
    (root / "link.py").symlink_to("hidden/trace.py")
    (root / ".dockerignore").write_text("*\n")
    config = Config(
        build=Build(python_requirements="./r.txt", requirements=("./dist.whl",)),
        observability=Observability("link.py", Traces(enabled=True)),
        weights=(Weight("a", "/w", ()),),
    )
    assert set(
        nix_arguments(project, config, {}, "tag", "", included=selected(project, config))["included"]
    ) == {
        ".",
        ".dockerignore",
        "cog.yaml",
        "dist.whl",
        "hidden",
        "hidden/trace.py",
        "link.py",
        "r.txt",
        "weights.lock",
    }
