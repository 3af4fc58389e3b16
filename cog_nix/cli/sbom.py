"""``cog-nix sbom``: what is in the image, as SPDX or CycloneDX.

stdout gets the document; narration goes to stderr.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build.bill import FORMATS, bill_of, rendered
from cog_nix.cli.building import build_image, options_of
from cog_nix.cli.options import ImageOptions, Tag, check_tag
from cog_nix.cli.platforms import project_here
from cog_nix.cli.written import warn_in_source
from cog_nix.errors import FlagError
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from cog_nix.build.bill import Format
    from cog_nix.cli.session import Session


@dataclass(frozen=True, kw_only=True)
class _Options(ImageOptions):
    tag: Tag = None
    format: Annotated[
        str, typer.Option("--format", help="spdx (SPDX 2.3) or cyclonedx (CycloneDX 1.6), both as JSON.")
    ] = "spdx"
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file to write. [default: stdout]"),
    ] = None


def sbom(session: Session, options: _Options) -> None:
    """Build the image, and tell what is in it."""
    options.apply(session)
    check_tag(options.tag)
    kind = format_of(options.format)
    project = project_here(options.config_file, options.platform)
    if options.output:
        warn_in_source(options.output, project, session.reporter)
    asked = options_of(options)
    built = build_image(session, options.config_file, replace(asked, tag=options.tag, result_link=False))
    document = rendered(kind, *bill_of(project, built, session.plugins))
    text = f"{json.dumps(document, indent=1, ensure_ascii=False)}\n"
    if options.output:
        write_atomically(options.output.absolute(), text.encode())
        session.reporter.info(f"Wrote {options.output}")
    else:
        typer.echo(text, nl=False)


def format_of(text: str) -> Format:
    """Return the format that is asked for.

    Raises:
        FlagError: there is none of this name.
    """
    for one in FORMATS:
        if text == one:
            return one
    raise FlagError("--format", f"expected {' or '.join(FORMATS)}.", text)
