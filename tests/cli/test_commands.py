"""The table of commands: each can be imported, and none is before it is called."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from cog_nix.cli.commands import COMMANDS, with_options
from cog_nix.cli.options import ProjectOptions
from cog_nix.cli.session import Session
from conftest import ROOT

_LOOK = """
import sys
from cog_nix.cli.app import run
run([{arguments}])
print(*(name for name in sys.modules if name.startswith("cog_nix.")), file=sys.stderr)
"""


def imported(*arguments: str) -> set[str]:
    """Return the modules of cog-nix that a command line imports."""
    code = _LOOK.format(arguments=", ".join(map(repr, arguments)))
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'hooks'}", "COG_NIX_PLUGINS": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_imported(name: str) -> None:
    assert COMMANDS[name].load(name).name == name


def test_help_imports_no_command() -> None:
    modules = {f"cog_nix.cli.{one.target.partition(':')[0]}" for one in COMMANDS.values()}
    assert not imported("--help") & modules
    assert imported("init", "--help") & modules == {"cog_nix.cli.init"}


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    count: Annotated[int, typer.Option("--count")] = 3
    word: Annotated[str, typer.Argument()]


def command(session: Session, options: _Options) -> None:
    """Say what came."""
    session.reporter.info(f"{options.count} {options.word} {options.config_file}")


def test_options_are_a_value_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(add_completion=False)
    app.command()(with_options(command))
    group = typer.main.get_command(app)
    assert [one.name for one in group.params] == ["count", "word", "config_file"]
    session = Session(None)  # type: ignore[arg-type] # it asks no plugin
    group(["--count", "4", "words"], standalone_mode=False, obj=session)
    assert capfd.readouterr().err == "4 words cog.yaml\n"
