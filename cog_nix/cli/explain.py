"""``cog-nix explain``: what an image consists of, by layer, by package, by who asked for it.

stdout gets lines, a tree or JSON; ``--html`` writes a page.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build.configuration import asked_of
from cog_nix.build.options import BuildOptions
from cog_nix.cli.building import build_image
from cog_nix.cli.explained import told, tree
from cog_nix.cli.options import PlatformName, ProjectOptions
from cog_nix.cli.platforms import project_here
from cog_nix.compare import find, subject
from cog_nix.errors import CogNixError, ConfigError, FlagError
from cog_nix.explain.page import page
from cog_nix.explain.report import report
from cog_nix.image.description import with_tag
from cog_nix.lock import format as lock_format
from cog_nix.plugins.spec import ListedRuntime
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.cli.session import Session
    from cog_nix.compare.subject import Subject
    from cog_nix.config.model import Project
    from cog_nix.lock.explain import Asked
    from cog_nix.lock.model import Lock


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    image: Annotated[
        str | None,
        typer.Argument(
            help="An image: ./result, an archive or layout, one that the runtime holds, or "
            "REGISTRY/IMAGE:TAG; none: what the project here builds.",
        ),
    ] = None
    platform: PlatformName = None
    as_tree: Annotated[
        bool, typer.Option("--tree", help="Show what came because of what, below who asked for it.")
    ] = False
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page for a browser there."),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False
    top: Annotated[
        int, typer.Option("--top", min=1, help="How many packages to show, and branches of a tree.")
    ] = 15
    everything: Annotated[bool, typer.Option("--all", help="Show all of them.")] = False
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="IMAGE",
            help="Tell which layers this image has as well, beside those that the runtime holds. "
            "May be repeated.",
        ),
    ] = None
    look: Annotated[
        bool,
        typer.Option(
            "--shared/--no-shared", help="Look which layers the runtime's other images have as well."
        ),
    ] = True


def explain(session: Session, options: _Options) -> None:
    """Tell what an image consists of.

    Raises:
        CogNixError: there is no such image, or it cannot be read.
    """
    if options.as_json and options.as_tree:
        raise FlagError(
            "--json and --tree", "stdout has room for one", hint="JSON has the tree as well: chain."
        )
    project = _project(options)
    lock, asked = _wishes(session, project)
    with _image(session, options) as image:
        others = _others(session, options, image)
        found = report(image, session.reporter, session.plugins, lock=lock, asked=asked, others=others)
    if options.html:
        write_atomically(options.html.absolute(), page(found, session.plugins.describe_database()))
        session.reporter.info(f"Wrote {options.html}")
    most = None if options.everything else options.top
    if options.as_json:
        typer.echo(json.dumps(found.plain(), indent=2, ensure_ascii=False))
    elif options.as_tree or not options.html:
        for line in tree(found, most) if options.as_tree else told(found, most):
            typer.echo(line)


def _project(options: _Options) -> Project | None:
    """Return the project here; it has to be one where no image is named."""
    try:
        return project_here(options.config_file, options.platform)
    except ConfigError:
        if options.image is None:
            raise
        return None


def _wishes(session: Session, project: Project | None) -> tuple[Lock | None, Asked | None]:
    """Return the lock of the project here, and what it names, where both can be read."""
    if project is None:
        return None, None
    try:
        lock = lock_format.read(project.lock_path, project.platform)
        return lock, asked_of(project, lock, session.plugins) if lock else None
    except CogNixError:  # another image may be explained all the same; a build says what is wrong
        return None, None


@contextmanager
def _image(session: Session, options: _Options) -> Iterator[Subject]:
    """Yield the image that is named, or the one that the project here builds; its layers can be read."""
    if options.image is not None:
        with find.opened(options.image, session.find_runtime, session.reporter) as found:
            yield found.whole() if found.whole else found
        return
    built = build_image(
        session, options.config_file, BuildOptions(platform=options.platform, result_link=False)
    )
    yield subject.of_built(built.image, with_tag(built.tag))


def _others(session: Session, options: _Options, image: Subject) -> dict[str, Sequence[str]]:
    """Return the layers of other images: those that are named, and those that the runtime holds."""
    found: dict[str, Sequence[str]] = {}
    for name in options.beside or ():
        with find.opened(name, session.find_runtime, session.reporter) as other:
            found[name] = tuple(one.diff_id for one in other.layers)
    if options.look:
        try:
            runtime = session.find_runtime()
            if runtime.available() is None and isinstance(runtime, ListedRuntime):
                found |= runtime.held_layers()
        except CogNixError as error:
            session.reporter.log(f"Other images are not looked at: {error.message}")
    ours = tuple(one.diff_id for one in image.layers)
    return {name: theirs for name, theirs in found.items() if tuple(theirs) != ours}
