"""``cog-nix push``: build the model and bring it to a registry; no daemon takes part.

stdout gets the result with ``--json`` and nothing otherwise; narration goes to stderr.
"""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build.services import Services
from cog_nix.cli import quick_push
from cog_nix.cli.building import build_image, options_of
from cog_nix.cli.options import Compression, EmbedSbom, ImageOptions, annotation, packing_of
from cog_nix.cli.platforms import parsed, platforms_of
from cog_nix.cli.pushing import Ahead, Record, announce, document, push_built, tell, trusted_keys, warm_up
from cog_nix.config import load
from cog_nix.errors import FlagError
from cog_nix.project.find import find_project
from cog_nix.registry import cosign, credentials
from cog_nix.registry.destination import REPLICATE, resolve
from cog_nix.registry.failures import MissingBlobsError
from cog_nix.resolve.ensure import ensure_lock
from cog_nix.resolve.request import Request
from cog_nix.system.keys import SecretKey
from cog_nix.system.packing import USUAL
from cog_nix.weights import lock as weights_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.build.options import BuildOptions
    from cog_nix.build.story import Built
    from cog_nix.cli.session import Session
    from cog_nix.config import Loaded
    from cog_nix.config.model import Project, Settings
    from cog_nix.registry.destination import Destination
    from cog_nix.registry.push import Pushed
    from cog_nix.resolve.ensure import Policy
    from cog_nix.weights.model import LockedWeight


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
    loaded = load(project)
    config = loaded.config
    settings = session.plugins.settings(project)
    setting = settings.push.compression
    packing = packing_of(setting) if options.compression is None else given
    weights = weights_lock.of_config(project.root, config)
    destination = resolve(config, options.target, os.environ)
    announce(destination.target, session.reporter)
    # A bundle's tag may be the time, which would make another derivation of the same image at each push.
    tag = destination.reference.name if destination.bundle else destination.target
    usual = packing == USUAL
    if packing is None:
        from cog_nix.registry.packing import best  # noqa: PLC0415 - see warm_up

        packing = best(destination.image, credentials.of_registry(destination.image.registry))
        session.reporter.info(f"Layers go to {destination.image.registry} as {packing}.")
    asked = replace(asked, tag=tag, oci=True, packing=packing, embed_sbom=options.embed_sbom)
    beside = () if asked.weights_inside else weights
    platforms = (parsed(options.platform),) if options.platform else platforms_of(settings)
    projects = [replace(project, platform=one) for one in platforms]
    alone = len(projects) == 1
    if not alone:
        _have_locks(session, projects, loaded, settings, asked.policy)
    done = [
        _push_one(session, options, asked, one, destination=destination, weights=beside, alone=alone)
        for one in projects
    ]
    attached = {
        title if alone else f"{title} ({one.project.platform})": reference
        for one in done
        for title, reference in _attach(session, options, one, destination).items()
    }
    pushed = done[0].pushed
    if platforms[1:]:
        pushed = _push_index(done, destination, beside)
    if options.sign and pushed.named != done[0].pushed.image:
        # Whoever checks a tag, as admission controllers do, asks for a signature of what it stands for.
        cosign.sign(pushed.named, destination.image, options.key or "", session.reporter)
    tell(pushed, destination, session.reporter, with_tree=not options.as_json)
    for title, reference in attached.items():
        session.reporter.info(f"  {title}  {reference}")
    if options.as_json:
        said = {**document(pushed), **({"attached": attached} if attached else {})}
        typer.echo(json.dumps(said, separators=(",", ":")))
    if usual and not (platforms[1:] or attached or options.embed_sbom):
        _remember(session, project, done[0].built, destination, as_json=options.as_json)


def _remember(
    session: Session, project: Project, built: Built, destination: Destination, *, as_json: bool
) -> None:
    """Keep what this command line did, where the next time there is nothing more to it."""
    heard = session.plugins.broken or session.is_heard
    plain = not (destination.bundle or destination.image.registry == REPLICATE or SecretKey.named(os.environ))
    if session.fast_path_key and built.kept and plain and not heard:
        quick_push.remember(session.fast_path_key, project, built, destination, as_json=as_json)


def _layout(built: Built) -> Path:
    """Return the layout of an image that was built with one."""
    assert built.oci is not None  # noqa: S101 - for the type checker: it was asked for
    return built.oci


@dataclass(frozen=True)
class _Done:
    """The image of one platform, in the registry."""

    project: Project
    built: Built
    pushed: Pushed


def _have_locks(
    session: Session, projects: Sequence[Project], loaded: Loaded, settings: Settings, policy: Policy
) -> None:
    """See that each platform has a lock, made where the project has none at all, before one is pushed.

    Raises:
        LockError: that of a platform lacks or does not fit, or none can be made.
    """
    policy = replace(policy, update=policy.update or not projects[0].lock_path.exists())
    services = Services(session.plugins, session.reporter, whole=True)
    for project in projects:
        tools = functools.partial(services.tools, project, loaded, settings)
        request = Request(project, loaded.config, settings)
        ensure_lock(request, policy, session.plugins, services.resolver(tools))


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
    record = Record(
        project.state_dir,
        destination,
        session.reporter,
        functools.partial(trusted_keys, project),
        SecretKey.named(os.environ),
        packing,
    )
    # A bill of materials tells what is in the layers, so they have to be here.
    is_thin = record.is_kept and not (options.sbom or options.embed_sbom)
    thin = replace(asked, held=record.known) if is_thin else asked
    send = functools.partial(push_built, platform=platform, alone=alone)
    try:
        with Ahead(destination, weights) as ahead:
            # Plugins may refuse an image that they hear of.
            made = None if session.plugins.implements("after_build") else ahead.made
            built = build_image(session, options.config_file, thin, warm_up, made=made)
            oci, begun = _layout(built), ahead.delivery
            pushed = send(oci, destination, weights, session.reporter, packing, delivery=begun)
    except MissingBlobsError as error:
        session.reporter.warn(f"{error} The image is built whole.")
        built = build_image(session, options.config_file, asked, warm_up)
        pushed = send(_layout(built), destination, weights, session.reporter, packing)
    record.add(_layout(built), pushed)
    return _Done(project, built, pushed)


def _push_index(done: Sequence[_Done], destination: Destination, weights: Sequence[LockedWeight]) -> Pushed:
    """Give the name that is pushed to an index of the images of several platforms."""
    from cog_nix.registry.push import push_index  # noqa: PLC0415 - see warm_up

    return push_index(
        [(one.pushed, one.project.platform) for one in done],
        destination,
        credentials.of_registry(destination.image.registry),
        weights=weights,
    )


def _attach(session: Session, options: _Options, done: _Done, destination: Destination) -> dict[str, str]:
    """Give the registry what is asked for beside the image; return what came of it, by title.

    Raises:
        RegistryError: it refuses, or the image cannot be signed.
    """
    if not (options.sbom or options.provenance or options.sign):
        return {}
    from cog_nix.cli import attaching  # noqa: PLC0415 - few pushes need it

    wanted = attaching.Wanted(options.sbom, options.provenance, options.sign, options.key or "")
    where = attaching.Place(
        done.pushed, destination.image, credentials.of_registry(destination.image.registry)
    )
    return attaching.attach(wanted, done.project, done.built, where, session)
