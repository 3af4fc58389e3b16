"""Building the project in this folder, for every command that needs its image."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.build import story
from cog_nix.build.interface import read_api
from cog_nix.cli.platforms import project_here
from cog_nix.config import load_config
from cog_nix.errors import SignatureError
from cog_nix.image.description import default_tag, with_tag
from cog_nix.lock import format as lock_format
from cog_nix.project.find import find_project
from cog_nix.resolve.ensure import Policy
from cog_nix.run_commands.ensure import RunOptions
from cog_nix.run_commands.secrets import guard, parse
from cog_nix.runtime.schema import ApiSchema
from cog_nix.system import scratch
from cog_nix.system.state import remember
from cog_nix.weights import lock as weights_lock
from cog_nix.weights import mountpoints, mounts, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cog_nix.archive.model import Archive
    from cog_nix.cli.options import ImageOptions
    from cog_nix.cli.session import Session
    from cog_nix.config.model import Project
    from cog_nix.lock.model import ReferencedFile
    from cog_nix.plugins.spec import Runtime
    from cog_nix.run_commands.secrets import Secret
    from cog_nix.store.nix import Made
    from cog_nix.weights.model import LockedWeight
    from cog_nix.weights.mounts import Mounts

_EMPTY_DOCUMENT = {"openapi": "3.0.2", "info": {"title": "Cog", "version": "0.1.0"}, "paths": {}}


@dataclass(frozen=True)
class Remembered:
    """A build of which the project's ``.cog`` knows enough to tell whether anything has changed since."""

    name: str
    """Of what is kept."""
    linked: bool
    """Whether ``./result`` leads to the image."""


@dataclass(frozen=True)
class LoadedImage:
    """An image that was built and that a runtime holds."""

    reference: str
    openapi: str
    has_gpu: bool
    project: Project
    weights: tuple[LockedWeight, ...] = ()
    """What has to be mounted: its managed weights."""
    files: tuple[ReferencedFile, ...] = ()
    """And files by reference."""
    build: Remembered | None = None

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.project.root

    @contextmanager
    def mounted(self, *, in_project: bool) -> Iterator[Mounts]:
        """Make what a container of it mounts of its weights; remove it afterwards.

        Args:
            in_project: whether the container has the project's folder mounted, so that mounts are in that.

        Raises:
            MissingWeightsError: files of them are not here.
        """
        if not (self.weights or self.files):
            yield ()
            return
        from cog_nix.managed import referenced  # noqa: PLC0415 - few models have any

        kept = store.default_store()
        with mounts.mounted(self.weights, kept, referenced.mounted(self.files, kept)) as found:
            inside = [target for _, target in found] if in_project else []
            with mountpoints.tidied(self.root, self.project.state_dir, inside):
                yield found


def given_secrets(given: Sequence[str] | None, config_file: str) -> dict[str, Secret]:
    """Return what ``--secret`` says; files are looked for from the project's folder on, as cog has it.

    Raises:
        ConfigError: a secret cannot be had.
    """
    if not given:
        return {}
    secrets = parse(given, find_project(Path.cwd(), config_file).root, os.environ)
    guard(secrets.values())
    return secrets


def options_of(options: ImageOptions) -> story.BuildOptions:
    """Return what a command's options say about a build; secrets are kept out of all output from then on.

    Raises:
        ConfigError: a secret cannot be had.
    """
    secrets = given_secrets(options.secret, options.config_file)
    return story.BuildOptions(
        policy=Policy(update=options.update_lock, cog_base=options.use_cog_base_image),
        platform=options.platform,
        openapi=options.openapi_schema,
        weights_inside=options.weights == "inside",
        runs=RunOptions(secrets=secrets, again=options.no_cache, accept=options.update_lock),
    )


def build_image(
    session: Session,
    config_file: str,
    options: story.BuildOptions,
    while_building: Callable[[], object] | None = None,
    *,
    made: Made | None = None,
    archive: Archive | None = None,
    trusts_archive: bool = False,
) -> story.Built:
    """Build the project here; nothing is loaded anywhere.

    Args:
        session: its plugins and reporter are used.
        config_file: its name.
        options: what the user decided.
        while_building: see :class:`cog_nix.build.services.Services`.
        made: the same.
        archive: the same.
        trusts_archive: the same.
    """
    project = project_here(config_file, options.platform)
    services = story.Services(
        session.plugins,
        session.reporter,
        whole=True,
        while_building=while_building,
        made=made,
        archive=archive,
        trusts_archive=trusts_archive,
    )
    return story.build(project, options, services)


def build_and_load(
    session: Session,
    config_file: str,
    runtime: Runtime,
    *,
    cog_base: bool | None,
    needs_schema: bool = True,
    update: bool = False,
    platform: str | None = None,
) -> LoadedImage:
    """Build the project here for being run at once, and load its image.

    Its OpenAPI document is left in the project's ``.cog``: there a server finds it that has the project
    mounted over what the image has in ``/src``.

    Args:
        session: its plugins and reporter are used.
        config_file: its name.
        runtime: what loads it.
        cog_base: whether the packages of Cog's base image come; None: not said.
        needs_schema: whether a predictor that cannot be described is an error; a command that only wants the
            environment runs without.
        update: whether a lock that does not fit any more is made anew.
        platform: what ``--platform`` says; None: nothing.

    Raises:
        CogNixError: it cannot be built or loaded.
    """
    project = project_here(config_file, platform)
    weights = _managed_weights(project)
    options = story.BuildOptions(
        policy=Policy(update=update, cog_base=cog_base),
        platform=platform,
        openapi=document_of_environment(),
        runs=RunOptions(accept=update),
    )
    with ExitStack() as stack:
        try:
            built = build_image(session, config_file, options)
            remember(project.shared_state_dir / "openapi_schema.json", built.openapi)
        except SignatureError as error:
            if needs_schema:
                raise
            session.reporter.warn(
                f"{error.message}\nThe command runs all the same; the image cannot serve predictions."
            )
            schema = stack.enter_context(scratch.folder("schema")) / "openapi.json"
            schema.write_text(json.dumps(_EMPTY_DOCUMENT), encoding="utf-8")
            # The model's own name stays with an image that can serve it.
            name = f"{default_tag(project.root.name)}-exec"
            without = replace(options, openapi=schema, tag=name, result_link=False)
            built = build_image(session, config_file, without)
    tag = with_tag(built.tag)
    runtime.load(built.image.path, [tag], session.reporter)
    lock = lock_format.read(project.lock_path, project.platform)
    files = tuple(file for file in lock.files if file.mount) if lock else ()
    remembered = Remembered(built.kept, built.has_result_link) if built.kept else None
    return LoadedImage(tag, built.openapi, built.gpu, project, weights, files, remembered)


def _managed_weights(project: Project) -> tuple[LockedWeight, ...]:
    """Return the project's managed weights; that files of them are missing is told before anything is built.

    Raises:
        ConfigError: weights.lock does not fit cog.yaml.
        MissingWeightsError: files of them are not here.
    """
    weights = weights_lock.of_config(project.root, load_config(project))
    if weights:
        mounts.require(weights, store.default_store())
    return weights


def document_of_environment() -> Path | None:
    """Return the OpenAPI document that ``COG_OPENAPI_SCHEMA`` names, for commands without the option."""
    name = os.environ.get("COG_OPENAPI_SCHEMA")
    return Path(name) if name else None


def project_schema(config_file: str) -> ApiSchema:
    """Return what the project's source says about inputs and outputs.

    Raises:
        ConfigError: there is no usable cog.yaml.
        SignatureError: the source cannot be described.
    """
    project = find_project(Path.cwd(), config_file)
    return ApiSchema.parse(read_api(project, load_config(project), document_of_environment()).document(""))


def package_of(session: Session, config_file: str, program: str) -> str:
    """Return the package that has a program, in the suite of the project's lock; "" where none is known."""
    project = project_here(config_file)
    lock = lock_format.read(project.lock_path, project.platform)
    if lock is None:
        return ""
    services = story.Services(session.plugins, session.reporter)
    return services.package_of(project, session.plugins.settings(project), lock.suite, program)
