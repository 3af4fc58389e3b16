"""What a command writes is no file of the next image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.cli.written import refuse_in_source
from cog_nix.errors import FlagError
from cog_nix.image.archives import Output

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "cog.yaml").write_text("build:\n  python_version: '3.14'\nrun: run.py:Runner\n")
    (folder / "run.py").write_text("class Runner:\n    def run(self) -> str:\n        return ''\n")
    (tmp_path / "way").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path)
    return folder


_IN = [
    pytest.param(("build", "-o", "image.tar"), "-o image.tar", id="file"),
    pytest.param(("build", "-o", "docker-archive:sub/image.tar"), "-o sub/image.tar", id="below"),
    pytest.param(("build", "-o", "oci:layout"), "-o layout", id="layout"),
    pytest.param(("build", "-o", "oci:."), "-o .", id="project"),
    pytest.param(("build", "-o", "oci-archive:../way/image.tar"), "-o image.tar", id="through-a-link"),
    pytest.param(("build", "-o", "result"), "-o result", id="result"),
    pytest.param(("sbom", "-o", "bill.json"), "-o bill.json", id="bill"),
    pytest.param(("archive", "files"), "DESTINATION files", id="archive"),
    pytest.param(("archive", "files.tar"), "DESTINATION files.tar", id="archive-file"),
]


@pytest.mark.parametrize(("command", "named"), _IN)
def test_a_place_in_the_project_is_refused(
    project: Path,
    cog_nix: Callable[..., subprocess.CompletedProcess[str]],
    command: tuple[str, ...],
    named: str,
) -> None:
    before = sorted(project.rglob("*"))
    ran = cog_nix(project, *command)
    assert ran.returncode == 1
    assert f"{named}: it is in the project, and would be part of the next image." in ran.stderr
    assert ".dockerignore" in ran.stderr
    assert sorted(project.rglob("*")) == before


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
def test_elsewhere_it_goes_on(
    project: Path, monkeypatch: pytest.MonkeyPatch, ignored: str, path: str
) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(FlagError):
        refuse_in_source("-o", Path("kept"), "cog.yaml")
    (project / ".dockerignore").write_text(ignored)
    refuse_in_source("-o", Path(path), "cog.yaml")


def test_a_layout_that_patterns_bring_back_in_part_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    members = Output.parse("oci:layout").members
    (project / ".dockerignore").write_text("layout")
    refuse_in_source("-o", Path("layout"), "cog.yaml", *members)
    (project / ".dockerignore").write_text("layout\n!**/*.json")
    with pytest.raises(FlagError, match="part of the next image"):
        refuse_in_source("-o", Path("layout"), "cog.yaml", *members)
