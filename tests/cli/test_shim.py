"""The shim: ``cog`` is cog-nix, and what cog-nix does not do reaches upstream's program unchanged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from cog_nix.cli import app as command_line
from cog_nix.cli.app import run
from cog_nix.cli.arguments import as_options, command_of
from cog_nix.errors import CogNixError, ConfigError
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import Invocation, hookimpl
from cog_nix.system import shim
from conftest import EXAMPLES, ROOT, copy_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLUGIN = EXAMPLES / "command-plugin"
UPSTREAM = """#!/bin/sh
printf '%s\\n' "$@"
cat
exit 5
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A folder for shims and one with upstream's program, in this order on the PATH."""
    first, second = tmp_path / "bin with space", tmp_path / "upstream"
    first.mkdir()
    second.mkdir()
    (second / "cog").write_text(UPSTREAM)
    (second / "cog").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(first), str(second), os.environ["PATH"]]))
    monkeypatch.delenv(shim.UPSTREAM, raising=False)
    monkeypatch.delenv("COG_NIX_PLUGINS", raising=False)
    return first, second


def call(*arguments: str, cwd: Path, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``cog`` from the PATH, as a user's shell does."""
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))
    program = shutil.which("cog")
    assert program
    return subprocess.run(
        [program, *arguments],
        cwd=cwd,
        input=given,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_install_status_remove(folders: tuple[Path, Path], capfd: pytest.CaptureFixture[str]) -> None:
    first, second = folders
    assert run(["shim", "status"]) == 1
    assert capfd.readouterr().out == f"cog is {second / 'cog'}\nReplicate's cog is {second / 'cog'}\n"
    assert run(["shim", "install", "--dir", str(first)]) == 0
    assert "warning" not in capfd.readouterr().err
    assert run(["shim"]) == 0
    assert (
        capfd.readouterr().out == f"cog is {first / 'cog'} (cog-nix)\nReplicate's cog is {second / 'cog'}\n"
    )
    assert run(["shim", "install", "--dir", str(first)]) == 0, "a shim may be written anew"
    assert run(["shim", "remove", "--dir", str(first)]) == 0
    assert run(["shim", "remove", "--dir", str(first)]) == 0
    assert capfd.readouterr().err.endswith(f"Removed {first / 'cog'}\nThere is no shim in {first}\n")
    assert shim.status().upstream == shim.status().first == second / "cog"


def test_a_shim_behind_upstream_is_told(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    late = tmp_path / "late"
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{late}")
    assert run(["shim", "install", "--dir", str(late)]) == 0
    said = capfd.readouterr().err
    assert f"{late} must come before {folders[1] / 'cog'} on the PATH" in said
    assert run(["shim", "status"]) == 1
    assert f"shim {late / 'cog'}, hidden by {folders[1] / 'cog'}\n" in capfd.readouterr().out


@pytest.mark.parametrize("action", [shim.install, shim.remove])
def test_a_program_of_somebody_else_is_left_alone(
    action: Callable[[Path], object], folders: tuple[Path, Path]
) -> None:
    with pytest.raises(CogNixError, match="not a shim of cog-nix; it stays as it is"):
        action(folders[1])
    assert (folders[1] / "cog").read_text() == UPSTREAM


def test_what_upstream_is_found(folders: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = folders
    shim.install(first)
    path = f"{first}{os.pathsep}{second}"
    assert shim.find_upstream({"PATH": path}) == second / "cog"
    assert shim.find_upstream({"PATH": str(first)}) is None
    assert shim.find_upstream({"PATH": str(first), shim.UPSTREAM: str(second / "cog")}) == second / "cog"
    assert shim.find_upstream({"PATH": path, shim.UPSTREAM: str(first / "cog")}) is None, (
        "it would run itself"
    )
    assert shim.find_upstream({"PATH": path, shim.UPSTREAM: str(tmp_path / "gone")}) is None


@pytest.mark.parametrize(
    ("arguments", "status", "out"),
    [
        pytest.param(["debug", "a", "-v", "--x=1"], 5, "debug\na\n-v\n--x=1\nin\n", id="left-to-it"),
        pytest.param(["brand-new", "a b"], 5, "brand-new\na b\nin\n", id="unknown"),
        pytest.param(["build", "--dockerfile", "D"], 5, "build\n--dockerfile\nD\nin\n", id="dockerfile"),
        pytest.param(["--debug", "base-image"], 5, "--debug\nbase-image\nin\n", id="options-first"),
        pytest.param(["config", "--compact"], 0, None, id="native"),
    ],
)
def test_what_goes_where(
    folders: tuple[Path, Path], tmp_path: Path, arguments: list[str], status: int, out: str | None
) -> None:
    shim.install(folders[0])
    project = copy_project(EXAMPLES / "hello-world", tmp_path / "project")
    (project / "typing.py").write_text("raise SystemExit('a file of the project was imported')")
    done = call(*arguments, cwd=project, given="in\n")
    assert done.returncode == status, done.stderr
    if out is None:
        assert json.loads(done.stdout)["build"]["python_version"]
    else:
        assert done.stdout == out


def test_without_upstream_it_says_what_is_missing(folders: tuple[Path, Path], tmp_path: Path) -> None:
    shim.install(folders[0])
    (folders[1] / "cog").unlink()
    for command, meant in (("brand-new", ""), ("buidl", "\n\nDid you mean this?\n\tbuild\n")):
        done = call(command, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert f'unknown command "{command}" for "cog"{meant}' in done.stderr
        assert shim.UPSTREAM in done.stderr
    done = call("build", "--dockerfile", "Dockerfile", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "`build` is left to Replicate's cog, and there is none on the PATH." in done.stderr


def test_a_wrapper_that_leads_back_is_no_upstream(folders: tuple[Path, Path], tmp_path: Path) -> None:
    shim.install(folders[0])
    wrapper = folders[1] / "cog"
    wrapper.write_text(f'#!/bin/sh\necho >> "{tmp_path}/called"\nexec "{folders[0]}/cog" "$@"\n')
    done = call("brand-new", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'unknown command "brand-new" for "cog"' in done.stderr
    assert (tmp_path / "called").read_text() == "\n", "it was started over and over"


def test_version_and_help(folders: tuple[Path, Path], tmp_path: Path) -> None:
    shim.install(folders[0])
    assert call("--version", cwd=tmp_path).stdout.startswith("cog version 0.23.1 (cog-nix ")
    assert call("help", "build", cwd=tmp_path).stdout.startswith("Usage: cog build ")
    assert as_options(["help"]) == as_options([]) == ["--help"]
    assert as_options(["help", "weights"]) == as_options(["weights"]) == ["weights", "--help"]


@pytest.mark.parametrize("line", ["build --nope", "build --progress", "exec", "init here"])
def test_a_wrong_command_line_ends_as_with_cog(
    folders: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str], line: str
) -> None:
    shim.install(folders[0])
    done = call(*line.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert run(line.split()) == 2
    assert capfd.readouterr().err == done.stderr.replace("Usage: cog ", "Usage: cog-nix ").replace(
        "Try 'cog ", "Try 'cog-nix "
    )


def test_a_mistyped_command_of_cog_nix_is_no_command_of_cog(
    folders: tuple[Path, Path],  # noqa: ARG001 - upstream is there
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(["bild"]) == 2
    assert "bild" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("build -t x", "build"),
        ("--registry h -f c.yaml run", "run"),
        ("-q exec ls", "exec"),
        ("--version", ""),
    ],
)
def test_the_command_of_a_line(line: str, command: str) -> None:
    assert command_of(line.split()) == command


class _Watch:
    def __init__(self, *, refuse: bool = False, answer: int | None = None) -> None:
        self.refuse, self.answer = refuse, answer
        self.seen: list[tuple[str, object]] = []

    @hookimpl
    def before_command(self, invocation: Invocation) -> None:
        self.seen.append(("before", invocation))
        if self.refuse:
            raise ConfigError("not on a Friday")

    @hookimpl
    def instead_of_command(self) -> int | None:
        self.seen.append(("instead", self.answer))
        return self.answer

    @hookimpl
    def after_command(self, status: int) -> None:
        self.seen.append(("after", status))


@pytest.mark.parametrize(
    ("watch", "status", "seen"),
    [
        pytest.param(_Watch(), 1, ["before", "instead", "after"], id="the-command-runs"),
        pytest.param(_Watch(answer=7), 7, ["before", "instead", "after"], id="replaced"),
        pytest.param(_Watch(refuse=True), 1, ["before", "after"], id="refused"),
    ],
)
def test_hooks_see_a_command(
    watch: _Watch, status: int, seen: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = plugins.load({"COG_NIX_PLUGINS": "0"})
    loaded.manager.register(watch)
    monkeypatch.setattr(command_line, "load_plugins", lambda: loaded)
    assert run(["config", "--compact"], program="cog") == status
    assert [name for name, _ in watch.seen] == seen
    assert watch.seen[0][1] == Invocation("cog", "config", ("config", "--compact"), native=True)
    assert watch.seen[-1] == ("after", status)


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's plugin, found as its pyproject.toml says."""
    monkeypatch.syspath_prepend(PLUGIN)
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    [(name, module)] = project["entry-points"]["cog_nix"].items()
    point = SimpleNamespace(name=name, load=lambda: __import__(module))
    loaded = plugins.load({}, lambda: [point])
    assert loaded.broken == {}
    monkeypatch.setattr(command_line, "load_plugins", lambda: loaded)


@pytest.mark.usefixtures("team")
def test_the_example_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("TEAM_COMMAND_LOG", str(log))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(["push", "registry.example.org/model"]) == 1
    assert "pushed by continuous integration" in capfd.readouterr().err
    assert run(["login"], program="cog") == 1
    monkeypatch.setenv("TEAM_REGISTRY_TOKEN_FILE", str(PLUGIN / "README.md"))
    assert run(["login"], program="cog") == 0
    assert capfd.readouterr().out == "Ask for a token first.\nYou are logged in.\n"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["command"], line["status"]) for line in lines] == [("push", 1), ("login", 1), ("login", 0)]
