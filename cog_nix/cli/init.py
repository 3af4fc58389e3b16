"""``cog-nix init``: a project to begin with, in this folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.cli.terminal import reporter
from cog_nix.project.template import create

if TYPE_CHECKING:
    import typer

_HELP = """Make a cog.yaml, a run.py and what belongs to them here. Existing files are left alone.

\b
  mkdir my-model && cd my-model
  cog-nix init
  cog-nix run -i text=world
"""


def register(app: typer.Typer) -> None:
    """Add ``init`` to the command line."""
    app.command("init", help=_HELP)(init)


def init() -> None:
    """Write the files of a new project into this folder."""
    reporter.info("Setting up the current directory for use with Cog...\n")
    for name, is_new in create(Path.cwd()).items():
        reporter.info(f"Creating {name}" if is_new else f"Skipped existing {name}")
    reporter.info("\nDone! Run the model with:  cog-nix run -i text=world")
