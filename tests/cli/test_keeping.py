"""`run --keep` and `stop`: what is refused, and what is said, without a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.cli import fast_run
from cog_nix.cli.keeping import keep_seconds
from cog_nix.errors import FlagError
from tests.cli.commands import invoke_command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which nothing is kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COG_NIX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    (tmp_path / "cog.yaml").write_text("run: run.py:Runner\n")
    return tmp_path


@pytest.mark.parametrize(("given", "seconds"), [("0", 0), ("10m", 600), ("45", 45), ("1h", 3600)])
def test_a_flag_counts_before_the_setting(project: Path, given: str, seconds: int) -> None:
    (project / "cog-nix.toml").write_text('[run]\nkeep = "5m"\n')
    assert keep_seconds(given, str(project)) == seconds


def test_without_a_flag_the_project_says(project: Path) -> None:
    assert keep_seconds(None, str(project)) == 0
    (project / "cog-nix.toml").write_text('[run]\nkeep = "5m"\n')
    assert keep_seconds(None, str(project)) == 300
    assert keep_seconds(None, "") == 0  # an image that exists


def test_a_time_that_is_none_is_refused(project: Path) -> None:
    with pytest.raises(FlagError, match="--keep") as caught:
        keep_seconds("soon", str(project))
    assert caught.value.hint == "A time is written 90s, 10m or 1h; 0 keeps nothing."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stop"], "No model is kept warm for {root}.\n"),
        (["stop", "image"], "No model is kept warm for image.\n"),
        (["stop", "--all"], "No model is kept warm.\n"),
    ],
)
def test_nothing_to_stop_is_no_failure(project: Path, arguments: list[str], said: str) -> None:
    result = invoke_command(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", said.format(root=project))


def test_all_and_an_image_contradict(project: Path) -> None:
    del project
    result = invoke_command("stop", "--all", "image")
    assert isinstance(result.exception, FlagError)


@pytest.mark.parametrize(
    ("arguments", "split"),
    [
        ("run -i a=1 --keep --input=b=2", (["a=1", "b=2"], [], ["--keep"])),
        ("run image --keep=5m --gpus all -e A=b", (["image"], ["--keep=5m", "--gpus", "all", "-e", "A=b"])),
        ("run --runtime=bundle -i=a=1", (["a=1"], [], ["--runtime=bundle"])),
        ("run -o out -i a=1", None),
        ("run --json {}", None),
        ("run one two", None),
        ("run -v", None),
        ("build", None),
    ],
)
def test_what_the_quick_answer_takes(arguments: str, split: object) -> None:
    found = fast_run._split(arguments.split())
    if isinstance(split, tuple) and len(split) == 2:
        split = ([], *split)
    assert found == split


@pytest.mark.parametrize(
    ("text", "may_be"),
    [("a=1", False), ("a=", False), ("a=b@c", False), ("a=@file", True), ('a="@file"', True), ("a", True)],
)
def test_files_are_read_where_the_command_runs(text: str, may_be: bool) -> None:  # noqa: FBT001 - a parameter
    assert fast_run._may_be_file(text) is may_be


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"format": 1, "answer": 5}', "null"])
def test_what_is_remembered_and_damaged_is_not_there(project: Path, text: str) -> None:
    status, name = fast_run.run(["run", "--keep", "-i", "a=1"])
    assert (status, len(name)) == (None, 32)
    builds = project / ".cog/builds"
    builds.mkdir(parents=True)
    (builds / name).write_text(text)
    assert fast_run.run(["run", "--keep", "-i", "a=1"]) == (None, name)
