"""``cog-nix config``: cog.yaml as the image's label has it, defaults filled in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix import signature
from cog_nix.build.story import load
from cog_nix.cli.options import ProjectOptions
from cog_nix.cli.streams import write_stdout
from cog_nix.config import with_concurrency
from cog_nix.project.find import find_project

if TYPE_CHECKING:
    from cog_nix.cli.session import Session


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    compact: Annotated[
        bool, typer.Option("--compact", help="Print the label run.cog.config as it is, byte for byte.")
    ] = False


def config(session: Session, options: _Options) -> None:
    """Print cog.yaml as the image will have it: checked and completed."""
    project = find_project(Path.cwd(), options.config_file)
    completed = load(project, session.plugins, session.reporter)[0].config
    decorated, _ = signature.concurrency(project.root, completed.predict, completed.train)
    label = with_concurrency(completed.label, decorated) if decorated else completed.label
    if options.compact:
        write_stdout(label)
    else:
        typer.echo(json.dumps(json.loads(label), indent=2, ensure_ascii=False))
