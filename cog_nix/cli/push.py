"""``cog-nix push``: build the model and bring it to a registry; no daemon takes part.

stdout gets the result with ``--json`` and nothing otherwise; narration goes to stderr.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.building import build_image, options_of
from cog_nix.cli.options import ImageOptions
from cog_nix.cli.terminal import amount
from cog_nix.config import load
from cog_nix.errors import CogNixError, RegistryError
from cog_nix.project.find import find_project
from cog_nix.registry.destination import REPLICATE, resolve
from cog_nix.registry.replicate import model_page
from cog_nix.system.paths import cache_dir
from cog_nix.weights import lock as weights_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.build.story import Built
    from cog_nix.cli.session import Session
    from cog_nix.registry.destination import Destination
    from cog_nix.registry.push import Pushed
    from cog_nix.report import Reporter
    from cog_nix.weights.model import LockedWeight

_NOT_FOUND = 404
_NO_MODEL = """\
Unable to find existing Replicate model for {target}. \
Go to replicate.com and create a new model before pushing.

If the model already exists, you may be getting this error because you're not logged in as owner of \
the model. This can happen if you did 'sudo cog login' instead of 'cog login' or 'sudo cog push' instead \
of 'cog push', which causes Docker to use the wrong Docker credentials."""


@dataclass(frozen=True, kw_only=True)
class _Options(ImageOptions):
    target: Annotated[
        str | None,
        typer.Argument(show_default=False, help="Where to: registry/repository:tag; none: as cog.yaml says."),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Output the pushed references as JSON.")] = False


def push(session: Session, options: _Options) -> None:
    """Build and push.

    Raises:
        ConfigError: there is nowhere to push to.
        RegistryError: the registry refuses, or cannot be reached.
    """
    options.apply(session)
    asked = options_of(options)
    # Where it goes and what belongs to it is known before anything is built.
    project = find_project(Path.cwd(), options.config_file)
    config = load(project).config
    weights = weights_lock.of_config(project.root, config)
    destination = resolve(config, options.target, os.environ)
    session.reporter.info(f"Building Docker image from environment in cog.yaml as {destination.target}...\n")
    # A bundle's tag may be the time, which would make another derivation of the same image at each push.
    tag = destination.reference.name if destination.bundle else destination.target
    built = build_image(session, options.config_file, replace(asked, tag=tag, oci=True), _warm_up)
    beside = () if asked.weights_inside else weights
    pushed = push_built(built, destination, beside, session.reporter)
    _tell(pushed, destination, session.reporter, with_tree=not options.as_json)
    if options.as_json:
        typer.echo(json.dumps(document(pushed), separators=(",", ":")))


def _warm_up() -> None:
    """Import what pushing needs, a tenth of a second's worth, while Nix has the other processor."""
    from cog_nix.registry import layout, push  # noqa: F401, PLC0415 - for their being there
    from cog_nix.registry.client import new_client  # noqa: PLC0415 - as above

    with suppress(CogNixError):  # told where a client is needed
        new_client().close()


def push_built(
    built: Built, destination: Destination, weights: Sequence[LockedWeight], reporter: Reporter
) -> Pushed:
    """Push an image that was built with its blobs.

    Raises:
        RegistryError: the registry refuses, or cannot be reached; in upstream's words for Replicate's.
    """
    # Imported while Nix was at work, see _warm_up.
    from cog_nix.registry import credentials, layout  # noqa: PLC0415 - as said above
    from cog_nix.registry.push import push as push_layout  # noqa: PLC0415 - as said above

    assert built.oci is not None  # noqa: S101 - for the type checker: it was asked for
    if weights:
        reporter.info(f"\n{len(weights)} managed weight(s)")
    reporter.info(f"\nPushing to {destination.target}...")
    registry = destination.image.registry
    known = credentials.of_registry(registry)
    try:
        return push_layout(
            layout.read(built.oci),
            destination,
            known,
            cache=cache_dir(),
            reporter=reporter,
            weights=weights,
        )
    except RegistryError as error:
        if registry == REPLICATE and error.status == _NOT_FOUND:
            raise RegistryError(_NO_MODEL.format(target=destination.target), status=_NOT_FOUND) from error
        message = f"failed to push image: {error.message}"
        raise RegistryError(message, hint=error.hint, status=error.status) from error


def document(pushed: Pushed) -> dict[str, object]:
    """Return upstream's JSON result, version 1."""
    weights = [{"name": name, "reference": reference} for name, reference in pushed.weights.items()]
    return {
        "version": 1,
        **({"model": pushed.model} if pushed.model else {}),
        "image": pushed.image,
        **({"weights": weights} if weights else {}),
    }


def tree(pushed: Pushed) -> str:
    """Return the references of what was pushed, in upstream's columns."""
    if not pushed.model:
        return f"  image  {pushed.image}"
    width = max(map(len, pushed.weights), default=0)
    children = [f"image   {pushed.image}"]
    children += [f"weight  {name:<{width}}  {reference}" for name, reference in pushed.weights.items()]
    branches = ["├─"] * (len(children) - 1) + ["└─"]
    lines = [f"  {branch} {child}" for branch, child in zip(branches, children, strict=True)]
    return "\n".join([f"  model   {pushed.model}", *lines])


def _tell(pushed: Pushed, destination: Destination, reporter: Reporter, *, with_tree: bool) -> None:
    reporter.info(summary(pushed))
    if with_tree:  # with --json, stdout has the references
        reporter.info(f"\n{tree(pushed)}")
    if destination.image.registry == REPLICATE:
        reporter.info(f"\nRun your model on Replicate:\n    {model_page(destination.image.name)}")


def summary(pushed: Pushed) -> str:
    """Return what was uploaded and what was not, in a line."""
    blobs, size = pushed.total("uploaded")
    told = [f"Uploaded {blobs} of {len(pushed.blobs)} blobs ({amount(size)})"]
    for outcome, words in (
        ("there", "skipped {} that were there"),
        ("mounted", "mounted {} from other repositories"),
    ):
        blobs, size = pushed.total(outcome)  # type: ignore[arg-type]
        if blobs:
            told.append(f"{words.format(blobs)} ({amount(size)})")
    return ", ".join(told)
