"""``cog-nix push``: build the model and bring it to a registry; no daemon takes part.

stdout gets the result with ``--json`` and nothing otherwise; narration goes to stderr.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli import build
from cog_nix.cli.build import NoCache, OpenApi, Secrets, UpdateLock  # noqa: TC001 - typer reads them
from cog_nix.cli.flags import (
    BuildFlags,
    CogBase,
    ConfigFile,
    CudaBase,
    Dockerfile,
    Precompile,
    Progress,
    SeparateWeights,
    Strip,
)
from cog_nix.cli.terminal import amount, reporter
from cog_nix.errors import CogNixError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.build.story import Built
    from cog_nix.registry.destination import Destination
    from cog_nix.registry.push import Pushed
    from cog_nix.weights.lock import LockedWeight

_NOT_FOUND = 404
_NO_MODEL = """\
Unable to find existing Replicate model for {target}. \
Go to replicate.com and create a new model before pushing.

If the model already exists, you may be getting this error because you're not logged in as owner of \
the model. This can happen if you did 'sudo cog login' instead of 'cog login' or 'sudo cog push' instead \
of 'cog push', which causes Docker to use the wrong Docker credentials."""

Target = Annotated[
    str | None,
    typer.Argument(show_default=False, help="Where to: registry/repository:tag; none: as cog.yaml says."),
]
Json = Annotated[bool, typer.Option("--json", help="Output the pushed references as JSON.")]


def register(app: typer.Typer) -> None:
    """Add ``push`` to the command line."""
    app.command("push", help="Build the model and push it to a registry, without a Docker daemon.")(push)


def push(
    *,
    target: Target = None,
    as_json: Json = False,
    config_file: ConfigFile = "cog.yaml",
    openapi_schema: OpenApi = None,
    update_lock: UpdateLock = False,
    secret: Secrets = None,
    no_cache: NoCache = False,
    progress: Progress = None,
    dockerfile: Dockerfile = None,
    use_cuda_base_image: CudaBase = None,
    use_cog_base_image: CogBase = None,
    separate_weights: SeparateWeights = False,
    strip: Strip = False,
    precompile: Precompile = False,
) -> None:
    """Build and push.

    Raises:
        ConfigError: there is nowhere to push to.
        RegistryError: the registry refuses, or cannot be reached.
    """
    from cog_nix.build.story import BuildOptions  # noqa: PLC0415 - a faster --help
    from cog_nix.resolve.ensure import Policy  # noqa: PLC0415
    from cog_nix.run_commands.ensure import RunOptions  # noqa: PLC0415
    from cog_nix.run_commands.secrets import guard, parse  # noqa: PLC0415

    BuildFlags(
        progress,
        dockerfile,
        use_cuda_base_image,
        use_cog_base_image,
        separate_weights,
        strip=strip,
        precompile=precompile,
    ).apply()
    secrets = parse(secret or (), Path.cwd(), os.environ)
    guard(secrets.values())
    destination, weights = _destination(config_file, target)
    reporter.info(f"Building Docker image from environment in cog.yaml as {destination.target}...\n")
    # A bundle's tag may be the time, which would make another derivation of the same image at each push.
    tag = destination.reference.name if destination.bundle else destination.target
    options = BuildOptions(
        policy=Policy(update=update_lock, cog_base=use_cog_base_image),
        tag=tag,
        openapi=openapi_schema,
        runs=RunOptions(secrets=secrets, again=no_cache, accept=update_lock),
        oci=True,
    )
    pushed = push_built(build.build_image(config_file, options, _warm_up), destination, weights)
    _tell(pushed, destination)
    if as_json:
        typer.echo(json.dumps(document(pushed), separators=(",", ":")))


def _warm_up() -> None:
    """Import what pushing needs, a tenth of a second's worth, while Nix has the other processor."""
    from cog_nix.registry import layout, push  # noqa: F401, PLC0415 - for their being there
    from cog_nix.registry.client import new_client  # noqa: PLC0415 - a faster --help

    with suppress(CogNixError):  # told where a client is needed
        new_client().close()


def _destination(config_file: str, target: str | None) -> tuple[Destination, tuple[LockedWeight, ...]]:
    """Say where the image goes and what belongs to it, before anything is built."""
    from cog_nix.config import load  # noqa: PLC0415 - a faster --help
    from cog_nix.project.find import find_project  # noqa: PLC0415
    from cog_nix.registry.destination import resolve  # noqa: PLC0415
    from cog_nix.weights import lock as weights_lock  # noqa: PLC0415 - a faster --help

    project = find_project(Path.cwd(), config_file)
    config = load(project).config
    weights = weights_lock.of_config(project.root, config)
    return resolve(config, target, os.environ), weights


def push_built(built: Built, destination: Destination, weights: Sequence[LockedWeight] = ()) -> Pushed:
    """Push an image that was built with its blobs.

    Raises:
        RegistryError: the registry refuses, or cannot be reached; in upstream's words for Replicate's.
    """
    from cog_nix.registry import credentials, layout  # noqa: PLC0415
    from cog_nix.registry.destination import REPLICATE  # noqa: PLC0415
    from cog_nix.registry.push import push as push_layout  # noqa: PLC0415
    from cog_nix.system.paths import cache_dir  # noqa: PLC0415 - a faster --help

    assert built.oci is not None  # noqa: S101 - for the type checker: it was asked for
    if weights:
        reporter.info(f"\n{len(weights)} managed weight(s)")
    reporter.info(f"\nPushing to {destination.target}...")
    registry = destination.image.registry
    known = credentials.find(registry)
    if not known and registry == os.environ.get("COG_REGISTRY_HOST"):
        # Upstream has it so: whoever runs a mirror of Replicate's registry knows its users.
        known = credentials.find(REPLICATE)
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


def _tell(pushed: Pushed, destination: Destination) -> None:
    from cog_nix.registry.destination import REPLICATE  # noqa: PLC0415 - a faster --help
    from cog_nix.registry.replicate import model_page  # noqa: PLC0415

    reporter.info(summary(pushed))
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
