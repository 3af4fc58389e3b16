"""``cog-nix flake``: a project's own flake."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.options import ProjectOptions
from cog_nix.config import load_config
from cog_nix.errors import FlagError
from cog_nix.image.description import default_tag, name_in_store, with_tag
from cog_nix.project import flake as project_flake
from cog_nix.project.find import find_project
from cog_nix.store.library import nix_library

if TYPE_CHECKING:
    from cog_nix.cli.session import Session


class Action(StrEnum):
    """What to do."""

    init = "init"


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    action: Annotated[Action, typer.Argument(help="init: write flake.nix.")]
    cog_nix: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Reference of cog-nix's own flake. [default: the checkout that this cog-nix is run from]",
        ),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace a flake.nix that is there.")] = False


def flake(session: Session, options: _Options) -> None:
    """Write the flake of the project here.

    Raises:
        ConfigError: there is one already, or nobody says where cog-nix's is.
    """
    project = find_project(Path.cwd(), options.config_file)
    config = load_config(project)
    tag = config.image or config.model or default_tag(project.root.name)
    values = project_flake.Values(
        options.cog_nix or _own(),
        name_in_store(tag),
        with_tag(tag),
        project.config_path.relative_to(project.root).as_posix(),
    )
    left = project_flake.create(project.root, values, force=options.force)
    tell = session.reporter
    tell.info(f"Wrote {project_flake.NAME}, whose cog-nix is {values.input}")
    if left:
        tell.warn(f"{project_flake.IGNORE} should have these lines as well: {', '.join(left)}")
    if not project.lock_path.exists():
        tell.info(f"It builds by {project.lock_path.name}, which is not there yet:  cog-nix lock")
    tell.info(
        f"Nix sees what Git tracks:  git add {project_flake.NAME} {project.lock_path.name}\n"
        "Then:  nix build && ./result | docker load"
    )


def _own() -> str:
    """Return the flake of this cog-nix.

    Raises:
        ConfigError: it was installed without.
    """
    root = nix_library().parent
    if not (root / project_flake.NAME).is_file():
        raise FlagError(
            "--input",
            "this cog-nix was installed without its flake.",
            hint="Name the flake of a checkout, or of a repository.",
        )
    return f"git+file://{root}" if (root / ".git").exists() else f"path:{root}"
