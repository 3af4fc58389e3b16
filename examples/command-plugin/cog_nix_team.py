"""A team's rules for cog-nix's commands: who may push, how to log in, and a log of what was run."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from cog_nix.plugins.spec import Invocation

LOG = "TEAM_COMMAND_LOG"
TOKEN_FILE = "TEAM_REGISTRY_TOKEN_FILE"


@hookimpl
def before_command(invocation: Invocation) -> None:
    """Let only continuous integration push."""
    if invocation.command == "push" and not os.environ.get("CI"):
        raise CogNixError(
            "Models are pushed by continuous integration, not from a workstation.",
            hint="Push the commit instead; the pipeline builds and pushes its image.",
        )


@hookimpl
def instead_of_command(invocation: Invocation) -> int | None:
    """Answer `login` ourselves: the team's machines have a token already."""
    if invocation.command != "login":
        return None
    there = Path(os.environ.get(TOKEN_FILE, "")).is_file()
    print("You are logged in." if there else "Ask for a token first.")
    return 0 if there else 1


@hookimpl
def after_command(invocation: Invocation, status: int) -> None:
    """Write a line about each command; arguments may hold inputs and tokens, so they stay out of it."""
    if path := os.environ.get(LOG):
        line = {"time": int(time.time()), "command": invocation.command, "status": status}
        with Path(path).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
