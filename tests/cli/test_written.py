"""What a command writes into the project would be a file of the next image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.cli.written import warn_in_source
from cog_nix.image.archives import Output
from cog_nix.project.find import find_project
from tests.reporters import Warnings

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that no command gets any further with than to read its cog.yaml."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "cog.yaml").write_text("build: 5\n")
    (tmp_path / "way").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path)
    return folder


def warned(path: str, *members: str) -> list[str]:
    reporter = Warnings()
    warn_in_source(Path(path), find_project(Path.cwd(), "cog.yaml"), reporter, *members)
    return reporter.warnings


@pytest.mark.parametrize(
    ("command", "named"),
    [
        pytest.param(("build", "-o", "image.tar"), "image.tar", id="file"),
        pytest.param(("build", "-o", "docker-archive:sub/image.tar"), "sub/image.tar", id="below"),
        pytest.param(("build", "-o", "oci:layout"), "layout", id="layout"),
        pytest.param(("build", "-o", "oci:."), ".", id="project"),
        pytest.param(("build", "-o", "oci-archive:../way/image.tar"), "image.tar", id="through-a-link"),
        pytest.param(("sbom", "-o", "bill.json"), "bill.json", id="bill"),
        pytest.param(("archive", "files"), "files", id="archive"),
        pytest.param(("archive", "files.tar"), "files.tar", id="archive-file"),
    ],
)
def test_a_place_in_the_project_is_warned_of_before_anything_is_built(
    project: Path,
    cog_nix: Callable[..., subprocess.CompletedProcess[str]],
    command: tuple[str, ...],
    named: str,
) -> None:
    ran = cog_nix(project, *command)
    assert ran.returncode == 1
    assert f"warning: {named} is in the project: the next build takes it for source" in ran.stderr
    assert ".dockerignore" in ran.stderr


@pytest.mark.parametrize(
    ("ignored", "path"),
    [
        pytest.param("*.tar", "image.tar", id="file"),
        pytest.param("sub", "sub/image.tar", id="below"),
        pytest.param("*\n!run.py", "bill.json", id="all-but-some"),
        pytest.param("", "../image.tar", id="beside"),
        pytest.param("", "out/image.tar", id="through-a-link"),
        pytest.param("", ".cog/image.tar", id="own"),
    ],
)
def test_nothing_is_said_of_other_places(
    project: Path, monkeypatch: pytest.MonkeyPatch, ignored: str, path: str
) -> None:
    monkeypatch.chdir(project)
    assert warned("kept")
    (project / ".dockerignore").write_text(ignored)
    assert warned(path) == []


def test_a_layout_may_be_brought_back_in_part(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    members = Output.parse("oci:layout").members
    (project / ".dockerignore").write_text("layout")
    assert warned("layout", *members) == []
    (project / ".dockerignore").write_text("layout\n!**/*.json")
    assert warned("layout", *members)
