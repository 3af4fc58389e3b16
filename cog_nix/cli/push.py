"""``cog-nix push``: build the model and bring it to a registry; no daemon takes part.

stdout gets the result with ``--json`` and nothing otherwise; narration goes to stderr.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.cli.building import build_image, options_of
from cog_nix.cli.options import Compression, EmbedSbom, ImageOptions, annotation, packing_of
from cog_nix.cli.platforms import parsed, platforms_of
from cog_nix.cli.terminal import amount
from cog_nix.config import load, load_settings
from cog_nix.errors import CogNixError, FlagError, RegistryError
from cog_nix.image.packing import USUAL
from cog_nix.project.find import find_project
from cog_nix.registry.destination import REPLICATE, resolve
from cog_nix.registry.failures import MissingBlobsError
from cog_nix.registry.replicate import model_page
from cog_nix.store import caches
from cog_nix.system.keys import PublicKeys, SecretKey
from cog_nix.system.paths import cache_dir
from cog_nix.system.platforms import AMD64
from cog_nix.system.state import recall, remember
from cog_nix.weights import lock as weights_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.build.options import BuildOptions
    from cog_nix.build.story import Built
    from cog_nix.cli.session import Session
    from cog_nix.config.model import Project
    from cog_nix.image.known import Keys, Known
    from cog_nix.image.packing import Packing
    from cog_nix.registry.destination import Destination
    from cog_nix.registry.held import HeldLayers
    from cog_nix.registry.push import Pushed
    from cog_nix.report import Reporter
    from cog_nix.system.platforms import Platform
    from cog_nix.weights.model import LockedWeight

_NOT_FOUND = 404
_WHO_ARE_YOU = (401, 403)
_OF_AN_EDIT = 2
"""Blobs that are new after an edit: the project's layer and the configuration."""
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
    annotation: Annotated[
        list[str] | None,
        typer.Option("--annotation", help="A label for the image, name=value. May be repeated."),
    ] = None
    compression: Compression = None
    sbom: Annotated[
        bool,
        typer.Option(
            "--sbom", help="Attach what is in the image, as SPDX and CycloneDX; see `cog-nix sbom`."
        ),
    ] = False
    embed_sbom: EmbedSbom = False
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Attach what the image was built from (SLSA provenance).")
    ] = False
    sign: Annotated[
        bool,
        typer.Option(
            "--sign", help="Sign the image with cosign, and what --sbom and --provenance say of it."
        ),
    ] = False
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            show_default=False,
            help="The key to sign with, as cosign takes it. [default: none; a provider vouches for you]",
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Output the pushed references as JSON.")] = False

    def refuse_key_alone(self) -> None:
        """Refuse what cannot be done, before anything is built.

        Raises:
            FlagError: there is a key and nothing to sign.
            NoCosignError: what signs is not here.
        """
        if self.key is not None and not self.sign:
            raise FlagError("--key", "nothing is to be signed.", hint="Add --sign.")
        if self.sign:
            from cog_nix.registry import cosign  # noqa: PLC0415 - few pushes need it

            cosign.refuse_without("signs images")


def push(session: Session, options: _Options) -> None:
    """Build and push.

    Raises:
        ConfigError: there is nowhere to push to.
        RegistryError: the registry refuses, or cannot be reached.
    """
    options.apply(session)
    options.refuse_key_alone()
    given = packing_of(options.compression)
    asked = replace(options_of(options), labels=dict(map(annotation, options.annotation or ())))
    # Where it goes and what belongs to it is known before anything is built.
    project = find_project(Path.cwd(), options.config_file)
    config = load(project).config
    settings = load_settings(project)
    setting = settings.push.compression
    packing = packing_of(setting) if options.compression is None else given
    weights = weights_lock.of_config(project.root, config)
    destination = resolve(config, options.target, os.environ)
    session.reporter.info(f"Building Docker image from environment in cog.yaml as {destination.target}...\n")
    # A bundle's tag may be the time, which would make another derivation of the same image at each push.
    tag = destination.reference.name if destination.bundle else destination.target
    if packing is None:
        from cog_nix.registry import credentials  # noqa: PLC0415 - see _warm_up
        from cog_nix.registry.packing import best  # noqa: PLC0415 - see _warm_up

        packing = best(destination.image, credentials.of_registry(destination.image.registry))
        session.reporter.info(f"Layers go to {destination.image.registry} as {packing}.")
    asked = replace(asked, tag=tag, oci=True, packing=packing, embed_sbom=options.embed_sbom)
    beside = () if asked.weights_inside else weights
    platforms = (parsed(options.platform),) if options.platform else platforms_of(settings)
    done = [
        _push_one(
            session,
            options,
            asked,
            replace(project, platform=one),
            destination=destination,
            weights=beside,
            alone=len(platforms) == 1,
        )
        for one in platforms
    ]
    pushed = done[0].pushed
    if platforms[1:]:
        pushed = _push_index(done, destination, beside)
    attached = {title: reference for one in done for title, reference in one.attached.items()}
    _tell(pushed, destination, session.reporter, with_tree=not options.as_json)
    for title, reference in attached.items():
        session.reporter.info(f"  {title}  {reference}")
    if options.as_json:
        said = {**document(pushed), **({"attached": attached} if attached else {})}
        typer.echo(json.dumps(said, separators=(",", ":")))


@dataclass(frozen=True)
class _Done:
    """The image of one platform, in the registry."""

    pushed: Pushed
    platform: Platform
    attached: dict[str, str]
    """What was left beside it, by title."""


def _push_one(
    session: Session,
    options: _Options,
    asked: BuildOptions,
    project: Project,
    *,
    destination: Destination,
    weights: Sequence[LockedWeight],
    alone: bool,
) -> _Done:
    """Build and push the image of one platform.

    Args:
        session: whose reporter tells.
        options: of the command line.
        asked: what is built.
        project: for that platform.
        destination: where to.
        weights: that the registry has to have already.
        alone: whether it is the only one.
    """
    packing, platform = asked.packing, project.platform
    if not alone:
        session.reporter.step(f"Building for {platform}")
    asked = replace(asked, platform=platform.name)
    record = _Record(project, destination, session.reporter, SecretKey.named(os.environ), packing)
    # A bill of materials tells what is in the layers, so they have to be here.
    is_thin = record.is_kept and not (options.sbom or options.embed_sbom)
    thin = replace(asked, held=record.known) if is_thin else asked
    send = functools.partial(push_built, platform=platform, alone=alone)
    built = build_image(session, options.config_file, thin, _warm_up)
    try:
        pushed = send(built, destination, weights, session.reporter, packing)
    except MissingBlobsError as error:
        session.reporter.warn(f"{error} The image is built whole.")
        built = build_image(session, options.config_file, asked, _warm_up)
        pushed = send(built, destination, weights, session.reporter, packing)
    record.add(built, pushed)
    attached = _attach(session, options, built, pushed, destination, project=project)
    of = "" if alone else f" ({platform})"
    return _Done(pushed, platform, {f"{title}{of}": found for title, found in attached.items()})


def _push_index(done: Sequence[_Done], destination: Destination, weights: Sequence[LockedWeight]) -> Pushed:
    """Give the name that is pushed to an index of the images of several platforms."""
    from cog_nix.registry import credentials  # noqa: PLC0415 - see _warm_up
    from cog_nix.registry.push import push_index  # noqa: PLC0415 - see _warm_up

    return push_index(
        [(one.pushed, one.platform) for one in done],
        destination,
        credentials.of_registry(destination.image.registry),
        weights=weights,
    )


def _attach(
    session: Session,
    options: _Options,
    built: Built,
    pushed: Pushed,
    destination: Destination,
    *,
    project: Project,
) -> dict[str, str]:
    """Give the registry what is asked for beside the image; return what came of it, by title.

    Raises:
        RegistryError: it refuses, or the image cannot be signed.
    """
    if not (options.sbom or options.provenance or options.sign):
        return {}
    from cog_nix.cli import attaching  # noqa: PLC0415 - few pushes need it
    from cog_nix.registry import credentials  # noqa: PLC0415 - see _warm_up

    wanted = attaching.Wanted(options.sbom, options.provenance, options.sign, options.key or "")
    where = attaching.Place(pushed, destination.image, credentials.of_registry(destination.image.registry))
    return attaching.attach(wanted, project, built, where, session)


@dataclass(frozen=True)
class _Record:
    """What the repository holds, as it was told of it (:mod:`cog_nix.registry.held`)."""

    project: Project
    destination: Destination
    reporter: Reporter
    secret: SecretKey | None
    packing: Packing

    @property
    def is_kept(self) -> bool:
        """Whether there is one: Replicate's registry takes every tag for a version of the model.

        Of layers that are compressed otherwise than usual nothing is kept: it does not say how they are.
        """
        return self.destination.image.registry != REPLICATE and self.packing == USUAL

    def known(self, keys: Keys) -> Known:
        """Return what is known of an image's layers."""
        return self._held().known(keys)

    def add(self, built: Built, pushed: Pushed) -> None:
        """Record what was pushed, unless that was done before and no layer but the project's is new."""
        if not self.is_kept or built.oci is None:
            return
        from cog_nix.registry import layout  # noqa: PLC0415 - see _warm_up

        mark = self.project.state_dir / "held"
        known = layout.known(built.oci)
        signer = self.secret.name if self.secret else ""
        said = json.dumps([self.destination.image.name, signer, known.document()])
        digest = hashlib.sha256(said.encode()).hexdigest()
        if recall(mark) == digest and pushed.total("uploaded")[0] <= _OF_AN_EDIT:
            return
        self._held().add(known)
        remember(mark, digest)

    def _held(self) -> HeldLayers:
        from cog_nix.registry import credentials  # noqa: PLC0415 - see _warm_up
        from cog_nix.registry.held import HeldLayers  # noqa: PLC0415 - see _warm_up

        counted, _ = caches.effective(load_settings(self.project).nix, os.environ)
        return HeldLayers(
            self.destination.image,
            credentials.of_registry(self.destination.image.registry),
            cache_dir(),
            self.reporter,
            PublicKeys(counted.trusted_public_keys),
            self.secret,
        )


def _warm_up() -> None:
    """Import what pushing needs, a tenth of a second's worth, while Nix has the other processor."""
    from cog_nix.registry import layout, push  # noqa: F401, PLC0415 - for their being there
    from cog_nix.registry.client import new_client  # noqa: PLC0415 - as above

    with suppress(CogNixError):  # told where a client is needed
        new_client().close()


def push_built(
    built: Built,
    destination: Destination,
    weights: Sequence[LockedWeight],
    reporter: Reporter,
    packing: Packing = USUAL,
    *,
    platform: Platform = AMD64,
    alone: bool = True,
) -> Pushed:
    """Push an image that was built with its blobs.

    Args:
        built: the image.
        destination: where to.
        weights: that the registry has to have already.
        reporter: tells what goes on.
        packing: how its layers are compressed.
        platform: what the image is for.
        alone: whether it gets the name; otherwise an index will.

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
    try:
        return push_layout(
            layout.read(built.oci, reporter, packing),
            destination,
            credentials.of_registry(registry),
            cache=cache_dir(),
            reporter=reporter,
            weights=weights,
            platform=platform,
            alone=alone,
        )
    except MissingBlobsError:
        raise
    except RegistryError as error:
        if registry == REPLICATE and error.status == _NOT_FOUND:
            raise RegistryError(_NO_MODEL.format(target=destination.target), status=_NOT_FOUND) from error
        refused = "authorization failed: " if error.status in _WHO_ARE_YOU else ""
        message = f"failed to push image: {refused}{error.message}"
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
