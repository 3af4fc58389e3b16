"""``cog-nix archive``: keep what the lock is built from where no mirror drops it.

stdout gets the list with ``--json`` and nothing otherwise; narration goes to stderr.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cog_nix.archive import place
from cog_nix.archive.model import LocalArchive
from cog_nix.build import archived, story
from cog_nix.cli.options import ProjectOptions
from cog_nix.cli.terminal import amount
from cog_nix.cli.written import warn_in_source
from cog_nix.project.find import find_project
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from cog_nix.archive.model import Archive
    from cog_nix.cli.session import Session


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION",
            show_default=False,
            help="A folder, a file whose name ends with .tar, or oci:REGISTRY/IMAGE:TAG. One that is there "
            "grows by what it lacks.",
        ),
    ]
    check: Annotated[
        bool,
        typer.Option("--check", help="Read what it has of this lock, and replace what is damaged."),
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Output what the archive has as JSON.")] = False


def archive(session: Session, options: _Options) -> None:
    """Keep everything that the lock is built from."""
    project = find_project(Path.cwd(), options.config_file)
    target = place.destination(options.destination, cache_dir(), session.reporter)
    if isinstance(target, LocalArchive):
        warn_in_source(Path(target.title), project, session.reporter)
    loaded, settings = story.load(project, session.plugins, session.reporter)
    services = story.Services(session.plugins, session.reporter, whole=True)
    kept = archived.keep(project, loaded, settings, services, target, check=options.check)
    for one in kept.lacking:
        session.reporter.warn(f"{one} is not archived: a build fetches it from where it is named")
    if options.check and not kept.damaged:
        session.reporter.info("Nothing that was there is damaged.")
    session.reporter.info(summary(target.title, kept))
    if options.as_json:
        typer.echo(json.dumps(document(target, kept)))


def summary(title: str, kept: archived.Kept) -> str:
    """Return what an archive has, and what came to it, in a line; then how to build from it."""
    count = len(kept.files)
    if kept.added:
        how = "new or mended" if kept.damaged else "new"
        size = amount(kept.added_bytes)
        if kept.written < kept.added_bytes:
            size += f", {amount(kept.written)} to be sent"
        grown = f"{len(kept.added)} of them {how} ({size})"
    else:
        grown = "all of them were there"
    return f"{title} has {count} files, {grown}.\nBuild from it with:  cog-nix build --from {title}"


def document(target: Archive, kept: archived.Kept) -> dict[str, Any]:
    """Return what an archive has of the project as JSON."""
    files = [{key: value for key, value in asdict(one).items() if key != "url"} for one in kept.files]
    return {
        "version": 1,
        "archive": target.title,
        "files": [
            {**one, "new": one["sha256"] in kept.added, "damaged": one["sha256"] in kept.damaged}
            for one in files
        ],
        "programs": sorted(target.header.programs),
        "lacking": list(kept.lacking),
    }
