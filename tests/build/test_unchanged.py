"""What tells whether a file, a folder or the code is as it was."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.build import unchanged
from cog_nix.build.again import Found, Memory, WentBy
from cog_nix.build.story import BuildOptions
from cog_nix.config.model import Project
from cog_nix.image.description import ImageDescription
from cog_nix.project.ignore import OWN_FILES, Ignore
from cog_nix.store import ahead
from cog_nix.system.status import TICK_NS, unchanged_for_long
from cog_nix.system.status import status as status_of

if TYPE_CHECKING:
    from pathlib import Path

_SECOND = 1_000_000_000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose files are older than any tick."""
    for name in ("cog.yaml", "run.py", "kept/a.txt", "left/out.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".dockerignore").write_text("left\n")
    time.sleep(TICK_NS / _SECOND * 1.5)
    return tmp_path


def sealed(project: Path, began: int | None = None, **more: Any) -> dict[str, Any] | None:
    started = unchanged.clock(str(project / ".cog")) if began is None else began
    assert started is not None
    watch = unchanged.Watch(str(project), started, str(project / ".cog"))
    ignore = Ignore.load(project)
    files = list(ignore.walk())
    watch.walked(ignore.entered, files)
    given: dict[str, Any] = {"read": [], "sources": [], "code": [], "links": {}, "present": [], **more}
    return watch.seal(**given)


def is_recalled(project: Path, kept: dict[str, Any]) -> bool:
    unchanged.remember(str(project / ".cog"), "name", kept, {"answer": 1})
    return unchanged.recall(str(project / ".cog"), "name") == {"answer": 1}


def test_what_is_the_same_is_recalled(project: Path) -> None:
    kept = sealed(project, read=[str(project / "cog.yaml"), str(project / "missing")])
    assert kept is not None
    assert is_recalled(project, kept)
    assert (project / ".cog/builds/name").exists()


def test_a_file_that_changed_just_before_is_not_trusted(project: Path) -> None:
    (project / "kept/a.txt").write_text("KEPT/a.txt")
    assert sealed(project) is None


def test_a_file_that_changed_during_a_build_is_not_trusted(project: Path) -> None:
    began = unchanged.clock(str(project / ".cog"))
    time.sleep(TICK_NS / _SECOND * 1.5)
    (project / "run.py").write_text("during")
    assert sealed(project, began) is None


def test_a_folder_that_changed_during_a_build_is_not_trusted(project: Path) -> None:
    began = unchanged.clock(str(project / ".cog"))
    (project / "kept/b.txt").symlink_to("a.txt")
    (project / "kept/b.txt").unlink()
    assert sealed(project, began) is None


def test_a_file_that_appears_counts_even_when_it_was_not_there(project: Path) -> None:
    kept = sealed(project, read=[str(project / "left/cog-nix.toml")])
    assert kept is not None
    (project / "left/cog-nix.toml").touch()
    assert not is_recalled(project, kept)


@pytest.mark.parametrize(
    ("changed", "device", "trusted"),
    [
        pytest.param(10 * _SECOND + 123, 1, True, id="before"),
        pytest.param(100 * _SECOND - 123, 1, False, id="within-a-tick"),
        pytest.param(100 * _SECOND + 123, 1, False, id="after"),
        pytest.param(98 * _SECOND, 1, False, id="clock-of-seconds"),
        pytest.param(90 * _SECOND, 1, True, id="clock-of-seconds-before"),
        pytest.param(10 * _SECOND + 123, 2, False, id="another-clock"),
        pytest.param(-4000 * _SECOND + 123, 2, True, id="another-clock-long-before"),
    ],
)
def test_when_a_time_is_trusted(changed: int, device: int, trusted: bool) -> None:  # noqa: FBT001 - a case
    status = [device, 7, 0o100644, 1, 0, changed]
    assert unchanged_for_long(status, 100 * _SECOND, 1) == trusted


def test_times_that_users_set_change_the_status(project: Path) -> None:
    path = project / "run.py"
    info = path.stat()
    before = status_of(str(path))
    time.sleep(0.02)
    path.write_text("RUN.py")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    after = status_of(str(path))
    assert before is not None
    assert after is not None
    assert before[:-1] == after[:-1]  # only the kernel's own time tells
    assert before != after


def test_names_tell_kinds(project: Path) -> None:
    assert unchanged.names(str(project / "kept")) == ["fa.txt"]
    (project / "kept/a.txt").unlink()
    (project / "kept/a.txt").mkdir()
    os.mkfifo(project / "kept/pipe")
    (project / "kept/link").symlink_to("a.txt")
    assert unchanged.names(str(project / "kept")) == ["-pipe", "da.txt", "flink"]


def test_own_names_do_not_count(project: Path) -> None:
    assert unchanged.OWN_NAMES == OWN_FILES
    kept = sealed(project)
    assert kept is not None
    (project / "result").symlink_to("/nix/store/00000000000000000000000000000000-cog-hello")
    (project / "cog-nix.lock").touch()
    assert is_recalled(project, kept)
    (project / "result").unlink()
    (project / "result").write_text("a file of the model's")
    assert not is_recalled(project, kept)


def test_compiled_code_does_not_count(project: Path) -> None:
    before = unchanged.tree(str(project))
    (project / "kept/__pycache__").mkdir()
    (project / "kept/__pycache__/a.pyc").touch()
    assert unchanged.tree(str(project)) == before
    (project / "kept/a.py").touch()
    assert unchanged.tree(str(project)) != before


def test_variables_are_kept_as_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    one = unchanged.environment(os.environ)
    assert "secret" not in one
    monkeypatch.setenv("SHLVL", "17")
    assert unchanged.environment(os.environ) == one
    monkeypatch.setenv("TOKEN", "other")
    assert unchanged.environment(os.environ) != one


def test_the_clock_of_a_head_start_counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nix may have read what has changed since, long before the build looks at it."""
    monkeypatch.setattr(ahead, "_began", [])
    began = unchanged.clock(str(project / ".cog"))
    assert began is not None

    def kept() -> str | None:
        options = BuildOptions(result_link=False)
        memory = Memory(Project(project, project / "cog.yaml"), options, {})
        memory.begin()
        ignore = Ignore.load(project)
        files = list(ignore.walk())
        memory.walked(ignore.entered, files)
        image = ImageDescription(project / "cog.yaml", "sha256:0", (), {})
        found = Found(image, None, "tag", "{}", gpu=False, warnings=(), pitfalls=())
        return memory.keep(found, WentBy(frozenset(), frozenset(), (), {}), project).kept

    ahead.start([sys.executable, "-c", "pass"], {}, began)
    assert kept() is not None
    (project / "run.py").write_text("RUN.py")
    time.sleep(TICK_NS / _SECOND * 3)
    assert kept() is None
    ahead.stop()
    monkeypatch.setattr(ahead, "_began", [])
    assert kept() is not None


def test_only_the_newest_few_are_kept(project: Path) -> None:
    kept = sealed(project)
    assert kept is not None
    for number in range(20):
        unchanged.remember(str(project / ".cog"), f"name-{number}", kept, {})
    left = {path.name for path in (project / ".cog/builds").iterdir()}
    assert "name-19" in left
    assert len(left) == unchanged.KEPT


def test_state_that_cannot_be_written_is_no_error(project: Path) -> None:
    kept = sealed(project)
    assert kept is not None
    state = project / "kept/.cog"
    state.write_text("a file of the user's")
    unchanged.remember(str(state), "name", kept, {})
    assert unchanged.clock(str(state)) is None
    assert unchanged.recall(str(state), "name") is None
    assert state.read_text() == "a file of the user's"
