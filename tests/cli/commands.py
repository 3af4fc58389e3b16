"""Runs a command in this process, without the program around it."""

from __future__ import annotations

from typing import Any

import typer
from typer.testing import CliRunner

from cog_nix.cli.commands import COMMANDS, CommandGroup
from cog_nix.cli.session import Session
from cog_nix.plugins import manager as plugins


def invoke_command(*arguments: str, **options: Any) -> Any:
    """Run a command line; errors are the result's exception."""
    app = typer.Typer(cls=CommandGroup, add_completion=False)
    app.callback()(lambda: None)
    for name, command in COMMANDS.items():
        command.register(app, name)
    session = Session(plugins.load({"COG_NIX_PLUGINS": "0"}))
    return CliRunner().invoke(app, list(arguments), obj=session, **options)
