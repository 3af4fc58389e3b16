"""``cog-nix build``."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.building import build_image, options_of
from cog_nix.cli.options import (
    Compression,
    EmbedSbom,
    ImageOptions,
    OutputTo,
    Tag,
    annotation,
    check_tag,
    packing_of,
    without_effect,
)
from cog_nix.cli.outcome import Outcome, summary, tell_built, tell_loaded
from cog_nix.cli.written import warn_in_source
from cog_nix.errors import FlagError
from cog_nix.image.archives import Output, write
from cog_nix.image.description import with_tag
from cog_nix.project.find import find_project
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.archive.model import Archive
    from cog_nix.build.story import Built
    from cog_nix.cli.session import Session
    from cog_nix.plugins.spec import Held
    from cog_nix.system.packing import Packing

_SMALLEST: Packing = "zstd"
"""What a file is compressed with that nobody said for whom it is."""


@dataclass(frozen=True, kw_only=True)
class _Options(ImageOptions):
    tag: Tag = None
    annotation: Annotated[
        list[str] | None,
        typer.Option("--annotation", help="A label for the image, name=value. May be repeated."),
    ] = None
    offline: Annotated[
        bool, typer.Option("--offline", help="Use no network: everything must be here already.")
    ] = False
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ARCHIVE",
            help="Take what the lock names from there: a folder or a file that `cog-nix archive` made, or "
            "oci:REGISTRY/IMAGE:TAG.",
        ),
    ] = None
    trust_archive: Annotated[
        bool,
        typer.Option(
            "--trust-archive",
            help="Take from the archive what nothing but you vouches for: its Nix, to run where this machine "
            "has none, and Nix packages that no trusted key has signed.",
        ),
    ] = False
    load_image: Annotated[
        bool, typer.Option("--load/--no-load", help="Load the image into Docker, or another --runtime.")
    ] = True
    out_link: Annotated[
        bool, typer.Option("--out-link/--no-out-link", help="Make the link ./result to the image.")
    ] = True
    output: OutputTo = None
    compression: Compression = None
    embed_sbom: EmbedSbom = False
    accept_runs: Annotated[
        bool,
        typer.Option(
            "--accept-runs",
            hidden=True,
            help="Record what commands leave now, where something else is recorded.",
        ),
    ] = False
    timestamp: Annotated[int | None, without_effect("--timestamp")] = None
    skip_schema_validation: Annotated[bool, without_effect("--skip-schema-validation")] = False


def build(session: Session, options: _Options) -> None:
    """Build an image from cog.yaml and load it into Docker."""
    options.refuse_two_bases()
    options.apply(session)
    if options.offline and options.no_cache:
        raise FlagError("--offline and --no-cache", "commands may need the network", hint="Give one of them.")
    wanted = Output.parse(options.output) if options.output is not None else None
    if wanted:
        project = find_project(Path.cwd(), options.config_file)
        warn_in_source(wanted.path, project, session.reporter, *wanted.members)
    check_tag(options.tag)
    packing = packing_of(options.compression) or _SMALLEST
    if options.compression is not None and not (wanted and wanted.needs_blobs):
        raise FlagError(
            "--compression",
            "only layers of OCI layouts are compressed.",
            hint="Write -o oci:FOLDER or -o oci-archive:FILE with it; `cog-nix push` has it as well.",
        )
    asked = replace(
        options_of(options),
        tag=options.tag,
        labels=dict(map(annotation, options.annotation or ())),
        result_link=options.out_link,
        offline=options.offline,
        oci=bool(wanted and wanted.needs_blobs),
        packing=packing,
        embed_sbom=options.embed_sbom,
    )
    if options.accept_runs:
        asked = replace(asked, runs=replace(asked.runs, accept=True))
    loads = options.load_image and not wanted
    began = time.monotonic()
    built = build_image(
        session,
        options.config_file,
        asked,
        session.import_runtime if loads else None,
        archive=_archive(session, options.source),
        trusts_archive=options.trust_archive,
    )
    if wanted:
        _write(session, built, wanted, began)
        return
    held = _load(session, built, began) if loads else _nothing
    if not loads:
        tell_built(session.reporter, built.tag, built.image.size, began, _where(built))
    if session.fast_path_key and not session.plugins.broken and not session.is_heard:
        root = str(find_project(Path.cwd(), options.config_file).root)
        outcome = Outcome(built.kept, root, held, loaded=loads, linked=built.has_result_link)
        outcome.remember(session.fast_path_key)


def _archive(session: Session, source: str | None) -> Archive | None:
    """Return the archive that is built from."""
    if source is None:
        return None
    from cog_nix.archive import place  # noqa: PLC0415 - most builds are from none

    return place.find(source, cache_dir(), session.reporter)


def _write(session: Session, built: Built, wanted: Output, began: float) -> None:
    """Write an image where the user wants it."""
    write(wanted, built.image.path, built.oci, [with_tag(built.tag)], session.reporter)
    seconds = time.monotonic() - began
    session.reporter.info(f"Built {built.tag} in {seconds:.1f} s: {wanted.kind}:{wanted.path}")


def _load(session: Session, built: Built, began: float) -> Callable[[], Held | None]:
    """Load an image into the runtime; where there is none, say how to load it later.

    Returns:
        What tells where to ask for it the next time, when the runtime would be this one again.
    """
    runtime = session.find_runtime()
    if (reason := runtime.available()) is not None:
        session.reporter.warn(reason)
        session.reporter.info(
            f"Built {summary(built.tag, built.image.size, began)}. "
            f"Load it where Docker is with:\n  {_where(built)} | docker load"
        )
        return _nothing
    held = session.load(runtime, built.image.path, with_tag(built.tag))
    tell_loaded(session.reporter, built.tag, built.image.size, began)
    return held


def _nothing() -> None:
    """Tell of no runtime."""


def _where(built: Built) -> str:
    return "./result" if built.has_result_link else str(built.image.path)
