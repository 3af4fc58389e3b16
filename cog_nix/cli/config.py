"""``cog-nix config``: cog.yaml as the image's label has it, defaults filled in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cog_nix.cli.flags import ConfigFile  # noqa: TC001 - typer reads it
from cog_nix.cli.schema import write
from cog_nix.cli.terminal import reporter

Compact = Annotated[
    bool, typer.Option("--compact", help="Print the label run.cog.config as it is, byte for byte.")
]


def register(app: typer.Typer) -> None:
    """Add ``config`` to the command line."""
    app.command("config", help="Print cog.yaml as the image will have it: checked and completed.")(config)


def config(*, config_file: ConfigFile = "cog.yaml", compact: Compact = False) -> None:
    """Print cog.yaml as the image will have it: checked and completed."""
    from cog_nix import signature  # noqa: PLC0415 - a faster --help
    from cog_nix.build.story import load  # noqa: PLC0415
    from cog_nix.config import with_concurrency  # noqa: PLC0415
    from cog_nix.project.find import find_project  # noqa: PLC0415

    project = find_project(Path.cwd(), config_file)
    completed = load(project, reporter)[0].config
    decorated, _ = signature.concurrency(project.root, completed.predict, completed.train)
    label = with_concurrency(completed.label, decorated) if decorated else completed.label
    if compact:
        write(label)
    else:
        typer.echo(json.dumps(json.loads(label), indent=2, ensure_ascii=False))
