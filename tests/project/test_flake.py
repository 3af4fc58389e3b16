"""A project's own flake: what is written, and what is left alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import ConfigError
from cog_nix.project import flake
from cog_nix.project.flake import Values
from tests.cli.commands import invoke_command

if TYPE_CHECKING:
    from pathlib import Path

VALUES = Values("git+https://git.example.org/cog-nix", "cog-model", "cog-model:latest", "cog.yaml")


def test_a_flake_is_written_and_kept_out_of_the_image(tmp_path: Path) -> None:
    assert flake.create(tmp_path, VALUES) == ()
    text = (tmp_path / "flake.nix").read_text()
    assert 'inputs.cog-nix.url = "git+https://git.example.org/cog-nix";' in text
    assert (tmp_path / ".dockerignore").read_text() == "flake.nix\nflake.lock\n"


def test_an_ignore_file_is_the_users(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("*.pyc\nflake.lock\n")
    assert flake.create(tmp_path, VALUES) == ("flake.nix",)
    assert (tmp_path / ".dockerignore").read_text() == "*.pyc\nflake.lock\n"


@pytest.mark.parametrize("link", [False, True], ids=["file", "broken link"])
def test_a_flake_that_is_there_is_replaced_only_when_asked(tmp_path: Path, *, link: bool) -> None:
    path = tmp_path / "flake.nix"
    if link:
        path.symlink_to("elsewhere")
    else:
        path.write_text("{ }\n")
    with pytest.raises(ConfigError, match="is there already") as caught:
        flake.create(tmp_path, VALUES)
    assert "--force" in caught.value.hint
    assert link or path.read_text() == "{ }\n"
    flake.create(tmp_path, VALUES, force=True)
    assert "cog-model:latest" in path.read_text()


@pytest.mark.nix
@pytest.mark.parametrize(
    "text", ["plain", 'a "quote"', "${builtins.abort}", "back\\slash", "größer", "line\nend"]
)
def test_nix_reads_a_text_as_it_was(text: str) -> None:
    assert shutil.which("nix-instantiate")
    command = ["nix-instantiate", "--eval", "--strict", "--json", "--expr", flake.literal(text)]
    assert json.loads(subprocess.check_output(command)) == text


def test_the_command_names_what_is_left_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\nimage: registry.example.org/me/model:v2\n'
    )
    (tmp_path / ".dockerignore").write_text("")
    monkeypatch.chdir(tmp_path)
    ran = invoke_command("flake", "init", "--input", "path:/opt/cog-nix")
    assert ran.exit_code == 0
    assert "flake.nix, flake.lock" in ran.stderr
    assert "cog-nix lock" in ran.stderr
    text = (tmp_path / "flake.nix").read_text()
    assert 'name = "model";' in text
    assert 'tag = "registry.example.org/me/model:v2";' in text
    again = invoke_command("flake", "init")
    assert isinstance(again.exception, ConfigError)
