"""What a change of a project's files means for a model that runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from cog_nix.config.model import Project
from cog_nix.report import SilentReporter
from cog_nix.watch.files import Changes, Watched

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with requirements, data that is ignored, and patterns of its own."""
    root = tmp_path / "model"
    (root / "prompts").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\n  python_requirements: requirements.txt\nrun: "run.py:Runner"\n'
    )
    (root / "requirements.txt").write_text("numpy==2.2.6\n")
    (root / "run.py").write_text("a = 1\n")
    (root / ".dockerignore").write_text("data\n")
    (root / "cog-nix.toml").write_text('[serve]\nwatch = ["prompts/*.json"]\n')
    return Project(root, root / "cog.yaml")


def sort(watched: Watched, project: Project, *names: str) -> Changes:
    return watched.sort(str(project.root / name) for name in names)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("run.py", True),
        ("package/new.py", True),
        ("prompts/a.json", True),
        ("output.json", False),
        ("notes.txt", False),
        ("data/generated.py", False),
        (".cog/openapi_schema.json", False),
        (".cog/tmp.py", False),
        ("__pycache__/run.cpython-313.pyc", False),
        ("result", False),
    ],
)
def test_what_restarts_a_model(project: Project, name: str, counts: bool) -> None:  # noqa: FBT001 - a parameter
    assert sort(Watched(project), project, name) == Changes((name,) if counts else (), ())


@pytest.mark.parametrize("name", ["cog.yaml", "requirements.txt", "cog-nix.toml", "cog-nix.lock"])
def test_what_a_container_is_made_from(project: Project, name: str) -> None:
    watched = Watched(project)
    before = (project.root / name).read_text() if (project.root / name).exists() else None
    (project.root / name).write_text(f"{before or ''}# more\n")
    assert sort(watched, project, name) == Changes((), (name,))
    assert watched.outdated == (name,)
    assert sort(watched, project, name) == Changes((), ())  # told once
    if before is not None:
        (project.root / name).write_text(before)
        assert sort(watched, project, name) == Changes((), (name,))
        assert not watched.outdated


def test_what_was_built_counts(project: Project) -> None:
    watched = Watched(project)
    (project.root / "requirements.txt").write_text("numpy==2.3.0\n")
    (project.root / "cog-nix.lock").write_text("{}")
    watched.built()
    assert sort(watched, project, "requirements.txt", "cog-nix.lock") == Changes((), ())


def test_a_broken_configuration_is_told_and_forgets_nothing(project: Project) -> None:
    watched = Watched(project)
    (project.root / "cog.yaml").write_text("build: [\n")
    assert sort(watched, project, "cog.yaml") == Changes((), ("cog.yaml",))
    (project.root / "requirements.txt").write_text("scipy\n")
    assert sort(watched, project, "requirements.txt") == Changes((), ("requirements.txt",))


def test_edits_arrive_as_they_are_made_and_together(project: Project) -> None:
    watched, stop = Watched(project), threading.Event()
    found: list[Changes] = []
    arrived = threading.Event()

    def follow() -> None:
        for changes in watched.changes(stop, SilentReporter()):
            found.append(changes)
            arrived.set()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for number in range(200):  # until the watch is there
            (project.root / "run.py").write_text(f"a = {number}\n")
            if arrived.wait(0.2):
                break
        assert found[0] == Changes(("run.py",), ())
        stop.wait(0.3)
        found.clear()
        arrived.clear()
        beside = project.root / "run.py.new"
        beside.write_text("b = 1\n")
        beside.replace(project.root / "run.py")  # as editors save
        (project.root / "other.py").write_text("c = 1\n")
        assert arrived.wait(20)
        stop.wait(0.5)
        assert {path for changes in found for path in changes.source} == {"run.py", "other.py"}
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
