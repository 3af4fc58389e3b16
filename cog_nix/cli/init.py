"""``cog-nix init``: a project to begin with, in this folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.project.template import create

if TYPE_CHECKING:
    from cog_nix.cli.session import Session


def init(session: Session) -> None:
    """Write the files of a new project into this folder."""
    session.reporter.info("Setting up the current directory for use with Cog...\n")
    for name, is_new in create(Path.cwd()).items():
        session.reporter.info(f"Creating {name}" if is_new else f"Skipped existing {name}")
    session.reporter.info(f"\nDone! Run the model with:  {session.program} run -i text=world")
