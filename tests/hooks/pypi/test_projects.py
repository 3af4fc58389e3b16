"""Python projects and their locks, in place of a requirements file; uv's own installation is the measure."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import uv

from cog_nix.config.python_project import requirement_lines
from cog_nix.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.lock.model import Wheel

    from .conftest import Index

    Resolve = Callable[..., dict[str, Wheel]]

pytestmark = pytest.mark.slow  # runs uv for each test


PYPROJECT = """\
[project]
name = "model"
version = "0.1"
requires-python = ">=3.10"
dependencies = ["app", "win; sys_platform == 'win32'"]

[project.optional-dependencies]
more = ["extra-one"]

[dependency-groups]
dev = ["devtool"]
serve = ["server", {include-group = "dev"}]

[tool.uv]
override-dependencies = ["lib==1.0"]
no-build-isolation-package = ["Some_Thing"]
"""


@pytest.fixture
def stocked(index: Index, project: Path, plain_machine: pytest.MonkeyPatch) -> Index:
    """An index with two releases of each package, and a project that asks for some."""
    for name in ("extra-one", "devtool", "server", "win", "cog"):
        index.add(name, "1.0")
        index.add(name, "2.0")
    index.add("app", "1.0", ["lib>=2"])
    index.add("lib", "1.0")
    index.add("lib", "2.0")
    plain_machine.setenv("UV_DEFAULT_INDEX", f"{index.url}/simple/")
    (project / "pyproject.toml").write_text(PYPROJECT)
    return index


def lock(project: Path, *options: str) -> None:
    command = [uv.find_uv_bin(), "lock", "--quiet", "--python", sys.executable, *options]
    subprocess.run(command, cwd=project, check=True)


def synced(project: Path, *options: str) -> dict[str, str]:
    """Return what ``uv sync --frozen`` installs."""
    target = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(project.parent / "venv")}
    command = [uv.find_uv_bin(), "sync", "--quiet", "--frozen", "--no-install-workspace", "--python"]
    subprocess.run([*command, sys.executable, *options], cwd=project, env=target, check=True)
    freeze = [uv.find_uv_bin(), "pip", "freeze", "--quiet", "--python", str(project.parent / "venv")]
    text = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout
    return dict(line.split("==") for line in text.splitlines())


def versions(wheels: dict[str, Wheel]) -> dict[str, str]:
    return {name: found.version for name, found in wheels.items()}


def lines(project: Path, name: str = "pyproject.toml") -> list[str]:
    return requirement_lines(name, project)


@pytest.mark.usefixtures("stocked")
def test_a_project_is_resolved_with_its_overrides_and_default_groups(project: Path, resolve: Resolve) -> None:
    found = resolve(*lines(project), "cog")
    assert versions(found) == {"app": "1.0", "cog": "2.0", "devtool": "2.0", "lib": "1.0"}


@pytest.mark.usefixtures("stocked")
def test_extras_and_groups_are_chosen(project: Path, resolve: Resolve) -> None:
    found = resolve(*lines(project), extras=("more",), groups=())
    assert versions(found) == {"app": "1.0", "extra-one": "2.0", "lib": "1.0"}
    assert {"server", "devtool"} < versions(resolve(*lines(project), groups=("serve",))).keys()


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        pytest.param([], {}, id="default"),
        pytest.param(["--extra", "more"], {"extras": ("more",)}, id="extra"),
        pytest.param(["--no-default-groups"], {"groups": ()}, id="no-groups"),
        pytest.param(["--no-default-groups", "--group", "serve"], {"groups": ("serve",)}, id="group"),
    ],
)
def test_a_lock_gives_what_uv_sync_installs(
    project: Path, resolve: Resolve, options: list[str], chosen: dict[str, object]
) -> None:
    lock(project, "--upgrade-package", "extra-one==1.0", "--upgrade-package", "devtool==1.0")
    found = versions(resolve(*lines(project), "cog", **chosen))
    assert found.pop("cog") == "2.0"
    assert found == synced(project, *options)


def test_a_lock_wins_over_newer_releases_and_knows_who_requires_what(
    stocked: Index, project: Path, resolve: Resolve
) -> None:
    content = stocked.files["app"]["app-1.0-py3-none-any.whl"]
    lock(project)
    stocked.add("app", "2.0")
    stocked.add("cog", "3.0", ["app"])
    found = resolve(*lines(project), "cog")
    assert versions(found) == {"app": "1.0", "cog": "3.0", "devtool": "2.0", "lib": "1.0"}
    assert found["app"].artifact.size == len(content)
    assert found["app"].depends == ("lib",)
    assert found["cog"].depends == ("app",)


def test_what_does_not_fit_beside_a_lock_is_told(stocked: Index, project: Path, resolve: Resolve) -> None:
    lock(project)
    stocked.add("cog", "3.0", ["app>=2"])
    with pytest.raises(LockError, match="cannot be satisfied") as caught:
        resolve(*lines(project), "cog==3.0")
    assert "app" in caught.value.message


@pytest.mark.usefixtures("stocked")
def test_a_lock_as_the_packaging_standard_has_it_is_taken(project: Path, resolve: Resolve) -> None:
    lock(project)
    command = [uv.find_uv_bin(), "export", "--quiet", "--frozen", "--no-emit-project", "--python"]
    named = project / "pylock.prod.toml"
    options = ["--format", "pylock.toml", "--output-file", str(named), "--no-default-groups"]
    subprocess.run([*command, sys.executable, *options], cwd=project, check=True)
    found = resolve(*lines(project, "pylock.prod.toml"))
    assert versions(found) == {"app": "1.0", "lib": "1.0"}


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"extras": ("mroe",)}, "pyproject.toml has no extra 'mroe'"),
        ({"groups": ("prod",)}, "pyproject.toml has no group 'prod'"),
    ],
)
def test_an_extra_or_group_that_is_not_there_is_told(
    project: Path, resolve: Resolve, chosen: dict[str, object], told: str
) -> None:
    with pytest.raises(LockError) as caught:
        resolve(*lines(project), **chosen)
    assert told in caught.value.message
    assert "Name one of: " in caught.value.hint


@pytest.mark.usefixtures("stocked")
def test_a_lock_that_uv_cannot_read_is_told(project: Path, resolve: Resolve) -> None:
    (project / "uv.lock").write_text("version = 99\n")
    with pytest.raises(LockError, match=r"uv\.lock"):
        resolve(*lines(project))
