"""A build of an unchanged project asks nobody; after any change Nix is asked, however well it is hidden."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.build.story import BuildOptions, Services, build
from cog_nix.config.model import Project
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import hookimpl
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import stream

pytestmark = pytest.mark.nix


class Counted:
    """A project, and how often building it called Nix.

    Args:
        build: runs cog-nix.
        log: grows with every call of Nix.
    """

    def __init__(self, build: Any, log: Path) -> None:
        self.build, self.log = build, log
        self.project: Path = build.project

    def calls(self, *arguments: str) -> int:
        """Build, and return how many times Nix was called."""
        self.log.write_text("")
        self.build.run("build", "--no-load", *arguments)
        return len(self.log.read_text().splitlines())


@pytest.fixture(scope="module")
def counted(hello: tuple[Any, stream.Image], copy: Callable[..., Path], folder: Path) -> Counted:
    """Return a copy of hello-world with more kinds of files, in the store of the others, under an eye."""
    first, _ = hello
    project = copy("unchanged", first.project / "cog-nix.lock")
    for path in (
        "helpers/words.py",
        "helpers/deep/more.py",
        "data/ignored.txt",
        "voices/a.txt",
        "voices/b.txt",
    ):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(f"# {path}\n")
    (project / "voice").symlink_to("voices/a.txt")
    (project / ".dockerignore").write_text("data\n")
    eye, log = folder / "eye", folder / "called"
    eye.mkdir()
    for name in ("nix-build", "nix-store"):
        program = shutil.which(name)
        (eye / name).write_text(f'#!/bin/sh\necho "$0" >> "{log}"\nexec "{program}" "$@"\n')
        (eye / name).chmod(0o755)
    environment = {"PATH": f"{eye}:{os.environ['PATH']}"}
    made = Counted(type(first)(project, first.store, environment), log)
    time.sleep(0.2)  # what changed just before a build is not trusted
    assert made.calls()
    return made


def rewritten(path: Path, text: str) -> None:
    """Change a file's text, keep its size and both of the times that a user can set."""
    info = path.stat()
    assert len(text) == info.st_size
    path.write_text(text)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def appended(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def replaced(path: Path) -> None:
    """Put another file of the same size and times in the place of one."""
    info = path.stat()
    other = path.with_name("other")
    other.write_text(path.read_text().swapcase())
    os.utime(other, ns=(info.st_atime_ns, info.st_mtime_ns))
    other.replace(path)


def retargeted(project: Path) -> None:
    (project / "voice").unlink()
    (project / "voice").symlink_to("voices/b.txt")


def renamed(project: Path) -> None:
    (project / "helpers/deep").rename(project / "helpers/peed")


def swapped(project: Path) -> None:
    """Exchange two files that are equal but for a byte."""
    a, b = project / "voices/a.txt", project / "voices/b.txt"
    a.rename(project / "voices/c.txt")
    b.rename(a)
    (project / "voices/c.txt").rename(b)


def collected(counted: Counted) -> None:
    """Remove the image from the store, as the garbage collector does."""
    path = str((counted.project / ".cog/image").readlink())
    (counted.project / ".cog/image").unlink()
    (counted.project / "result").unlink()
    options = ["--store", str(counted.build.store), "--option", "build-users-group", ""]
    subprocess.run(["nix-store", *options, "--delete", path], check=True, capture_output=True)


CHANGES: dict[str, Callable[[Counted], object]] = {
    "same-size-and-times": lambda one: rewritten(one.project / "helpers/words.py", "# HELPERS/words.py\n"),
    "other-inode": lambda one: replaced(one.project / "helpers/deep/more.py"),
    "renamed-folder": lambda one: renamed(one.project),
    "swapped-files": lambda one: swapped(one.project),
    "other-link": lambda one: retargeted(one.project),
    "mode": lambda one: (one.project / "helpers/words.py").chmod(0o755),
    "new-file": lambda one: (one.project / "helpers/new.py").write_text(""),
    "new-folder": lambda one: (one.project / "voices/empty").mkdir(),
    "removed-file": lambda one: (one.project / "helpers/words.py").unlink(),
    "ignored-more": lambda one: (one.project / ".dockerignore").write_text("data\nvoices\n"),
    "no-ignore-file": lambda one: (one.project / ".dockerignore").unlink(),
    "file-for-folder": lambda one: (
        shutil.rmtree(one.project / "voices"),  # type: ignore[func-returns-value]
        (one.project / "voices").write_text("text"),
    ),
    "config": lambda one: appended(one.project / "cog.yaml", "# comment\n"),
    "settings": lambda one: (one.project / "cog-nix.toml").write_text("# nothing\n"),
    "lock": lambda one: appended(one.project / "cog-nix.lock", "\n"),
    "image-collected": collected,
    "root-removed": lambda one: (one.project / ".cog/image").unlink(),
    "memory-removed": lambda one: shutil.rmtree(one.project / ".cog/builds"),
    "memory-damaged": lambda one: [
        path.write_text(path.read_text()[:-9]) for path in (one.project / ".cog/builds").iterdir()
    ],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nix_is_asked_after_a_change_and_only_then(
    counted: Counted, change: Callable[[Counted], object]
) -> None:
    assert counted.calls() == 0
    change(counted)
    time.sleep(0.2)
    assert counted.calls() > 0
    assert counted.calls() == 0


def test_a_file_below_an_ignored_folder_changes_nothing(counted: Counted) -> None:
    assert counted.calls() == 0
    (counted.project / "data").mkdir(exist_ok=True)
    (counted.project / ".dockerignore").write_text("data\n")
    time.sleep(0.2)
    counted.calls()
    (counted.project / "data/more.txt").write_text("not in the image")
    assert counted.calls() == 0


def test_what_is_asked_for_counts(counted: Counted) -> None:
    assert counted.calls("--annotation", "a=1") > 0
    assert counted.calls("--annotation", "a=1") == 0
    assert counted.calls("--annotation", "a=2") > 0
    assert counted.calls("-t", "other:1") > 0
    assert counted.calls("--no-out-link") > 0
    assert counted.calls() > 0  # the links lead to another image now, and this one may be collected
    assert counted.calls() == 0
    assert counted.calls("--annotation", "a=1") > 0
    assert counted.calls("-t", "other:1", "--no-cache") > 0


def test_the_environment_counts(counted: Counted) -> None:
    other = replace(counted.build, environment={**counted.build.environment, "GITHUB_SHA": "0" * 40})
    assert Counted(other, counted.log).calls() > 0
    assert Counted(other, counted.log).calls() == 0
    assert counted.calls() > 0


def test_a_commit_counts(counted: Counted) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=counted.project, check=True, capture_output=True)

    git("init")
    git("add", "cog.yaml")
    git("commit", "-m", "one")
    assert counted.calls() > 0
    assert counted.calls() == 0
    git("commit", "--allow-empty", "-m", "two")
    assert counted.calls() > 0
    assert counted.calls() == 0
    shutil.rmtree(counted.project / ".git")
    assert counted.calls() > 0


def test_a_plugin_that_is_installed_counts(counted: Counted, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "from cog_nix.plugins.spec import hookimpl\n\n"
        "@hookimpl\ndef before_build(config):\n    print('loud', config.predict)\n"
    )
    metadata = tmp_path / "loud-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[cog_nix]\nloud = loud\n")
    path = os.pathsep.join([*counted.build.sources(), str(tmp_path)])
    loud = replace(counted.build, environment={**counted.build.environment, "PYTHONPATH": path})
    for _ in range(3):
        assert "loud run.py:" in loud.run("build", "--no-load").stdout


def test_a_folder_below_the_project_is_left_alone(counted: Counted) -> None:
    counted.calls()
    below = replace(counted.build, project=counted.project / "helpers")
    for _ in range(2):
        below.run("build", "--no-load")
    assert not (counted.project / "helpers/.cog").exists()
    assert counted.calls() == 0


def test_warnings_are_said_again(counted: Counted) -> None:
    first = counted.build.run("build", "--no-load").stderr
    assert counted.calls() == 0
    assert "deprecated" in first or "predict" not in (counted.project / "cog.yaml").read_text()
    again = counted.build.run("build", "--no-load").stderr
    assert [line for line in again.splitlines() if "warning" in line] == [
        line for line in first.splitlines() if "warning" in line
    ]


def test_a_missing_link_is_made_without_nix(counted: Counted) -> None:
    counted.calls()
    (counted.project / "result").unlink()
    assert counted.calls() == 0
    assert (counted.project / "result").is_symlink()


def test_an_overlay_is_never_taken_for_unchanged(counted: Counted) -> None:
    (counted.project / "cog-nix.nix").write_text("final: prev: import ./more.nix\n")
    (counted.project / "more.nix").write_text('{ environment = { A = "1"; }; }\n')
    time.sleep(0.2)
    assert counted.calls() > 0
    assert counted.calls() > 0
    (counted.project / "cog-nix.nix").unlink()
    (counted.project / "more.nix").unlink()


class _Changes:
    """Changes the project before every build."""

    def __init__(self) -> None:
        self.count = 0

    @hookimpl
    def before_build(self, project: Project) -> None:
        self.count += 1
        (project.root / "generated.py").write_text(f"NUMBER = {self.count}\n")


def test_what_a_plugin_changes_before_a_build_is_seen(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COG_NIX_STORE", str(counted.build.store))
    loaded = plugins.load({"COG_NIX_PLUGINS": "0"})
    loaded.manager.register(_Changes(), name="changes")
    services = Services(loaded, SilentReporter())
    project = Project(counted.project, counted.project / "cog.yaml")
    ids = {build(project, BuildOptions(), services).image.id for _ in range(3)}
    assert len(ids) == 3
