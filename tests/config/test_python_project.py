"""What a configuration takes from a Python project that ``python_requirements`` names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cog_nix.config import complete, parse, validate
from cog_nix.config.model import Settings
from cog_nix.errors import ConfigError
from cog_nix.resolve import inputs

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.config.model import Config

PYPROJECT = (
    '[project]\nname = "m"\nversion = "0"\nrequires-python = "{python}"\ndependencies = {dependencies}\n'
)


def write(root: Path, *, python: str = ">=3.10", dependencies: tuple[str, ...] = ()) -> Path:
    text = PYPROJECT.format(python=python, dependencies=json.dumps(dependencies))
    (root / "pyproject.toml").write_text(text)
    return root


def load(root: Path, text: str) -> Config:
    document = parse(text)
    validate(document, root)
    return complete(document, root)


def refused(root: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(root, text)
    return caught.value.shown()


NAMED = "build:\n  python_requirements: pyproject.toml\n"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (">=3.10", "3.13"),
        (">=3.10,<3.13", "3.12"),
        ("==3.11.*", "3.11"),
        ("~=3.11.4", "3.11"),
        (">=3.9, <3.12, !=3.11.*", "3.10"),
        (">=3.14", "3.14"),
        ("<3.12.4,>3.11.2", "3.12"),
    ],
)
def test_requires_python_stands_in_for_python_version(tmp_path: Path, wanted: str, expected: str) -> None:
    config = load(write(tmp_path, python=wanted), NAMED)
    assert config.build.python_version == expected
    assert json.loads(config.label)["build"]["python_version"] == expected


@pytest.mark.parametrize("written", ["3.12.4\n", "cpython-3.12.4", "3.12.4 3.11\n"])
def test_python_version_of_its_file_counts_before_that(tmp_path: Path, written: str) -> None:
    (tmp_path / ".python-version").write_text(written)
    assert load(write(tmp_path), NAMED).build.python_version == "3.12.4"


def test_cog_yaml_counts_before_both(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.12")
    text = f"{NAMED}  python_version: '3.11'\n"
    assert load(write(tmp_path), text).build.python_version == "3.11"


def test_without_any_the_version_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "m"\n')
    assert "python_version is required" in refused(tmp_path, NAMED)


def test_what_a_remembered_text_was_does_not_hide_that_the_version_is_gone(tmp_path: Path) -> None:
    document = parse(NAMED)
    validate(document, write(tmp_path), state_dir=tmp_path / ".cog")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "m"\n')
    with pytest.raises(ConfigError, match="python_version is required"):
        validate(document, tmp_path, state_dir=tmp_path / ".cog")


def test_cuda_follows_the_torch_of_the_project(tmp_path: Path) -> None:
    config = load(write(tmp_path, dependencies=("torch==2.1.0", "numpy")), f"{NAMED}  gpu: true\n")
    assert config.build.cuda == "12.1"
    assert config.build.requirements == ("-r pyproject.toml", "torch==2.1.0")


def test_the_torch_of_the_lock_counts_before_that(tmp_path: Path) -> None:
    write(tmp_path, dependencies=("torch",))
    (tmp_path / "uv.lock").write_text('version = 1\n[[package]]\nname = "torch"\nversion = "2.1.0+cu118"\n')
    config = load(tmp_path, f"{NAMED}  gpu: true\n")
    assert config.build.cuda == "11.8"
    assert config.build.requirements == ("-r pyproject.toml", "-r uv.lock", "torch==2.1.0+cu118")


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock"])
def test_an_edit_of_either_file_makes_the_lock_stale(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / "uv.lock").write_text("version = 1\n")
    before = inputs.digest(load(tmp_path, NAMED), Settings(), tmp_path)
    with (tmp_path / name).open("a") as file:
        file.write("# later\n")
    assert inputs.digest(load(tmp_path, NAMED), Settings(), tmp_path) != before


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("poetry.lock", "poetry export"),
        ("pdm.lock", "pdm export"),
        ("Pipfile", "pipenv requirements"),
        ("Pipfile.lock", "pipenv requirements"),
        ("environment.yml", "pip list --format=freeze"),
    ],
)
def test_files_of_other_tools_are_refused_with_the_command_that_exports_them(
    tmp_path: Path, name: str, command: str
) -> None:
    (tmp_path / name).write_text("")
    told = refused(tmp_path, f"build:\n  python_version: '3.11'\n  python_requirements: {name}\n")
    assert told.startswith(f"cog.yaml:3: {name} is not a file that uv or pip installs from")
    assert f"Run: {command}" in told
    assert "python_requirements: requirements.txt" in told


@pytest.mark.parametrize("lock", ["poetry.lock", "pdm.lock"])
def test_a_lock_of_another_tool_is_not_passed_over(tmp_path: Path, lock: str) -> None:
    project = "build:\n  python_version: '3.11'\n  python_requirements: pyproject.toml\n"
    (write(tmp_path) / lock).write_text("")
    told = refused(tmp_path, project)
    assert told.startswith(f"cog.yaml:3: {lock}, which locks pyproject.toml, is not a file that uv")
    assert f"Run: {lock.removesuffix('.lock')} export" in told
    (tmp_path / "uv.lock").write_text("")
    assert load(tmp_path, project).build.python_requirements == "pyproject.toml"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("[project\n", "cannot read pyproject.toml: it is not TOML", id="syntax"),
        pytest.param("a = " + "[" * 100_000, "cannot read pyproject.toml: it is not TOML", id="deep"),
    ],
)
def test_a_project_that_cannot_be_read_is_named(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "pyproject.toml").write_text(content)
    assert told in refused(tmp_path, f"{NAMED}  python_version: '3.11'\n")


def test_a_lock_without_its_project_is_told(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("version = 1\n")
    told = refused(tmp_path, "build:\n  python_version: '3.11'\n  python_requirements: uv.lock\n")
    assert "there is no pyproject.toml beside uv.lock" in told


def test_a_lock_stands_for_its_project(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("version = 1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    config = load(tmp_path, "build:\n  python_version: '3.11'\n  python_requirements: uv.lock\n")
    assert config.build.requirements == ("-r pyproject.toml", "-r uv.lock")


def test_tables_of_other_types_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("project = 1\n")
    (tmp_path / "uv.lock").write_text('package = "torch"\n')
    config = load(tmp_path, f"{NAMED}  python_version: '3.11'\n")
    assert config.build.requirements == ("-r pyproject.toml", "-r uv.lock")
