"""From a folder with a cog.yaml to an image in the store. :func:`build` is the whole story."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cog_nix import certificate, git, signature
from cog_nix import config as cog_config
from cog_nix.errors import ConfigError, NixError
from cog_nix.files import link_atomically
from cog_nix.ignore import Ignore
from cog_nix.image import ImageDescription, default_tag, name_in_store, with_tag
from cog_nix.lock.ensure import Policy, ensure_lock, sdk_version
from cog_nix.nixfiles import core, nix_library
from cog_nix.paths import cache_dir
from cog_nix.plugins import Plugins, ask
from cog_nix.store import nix as nix_store
from cog_nix.store.provide import provide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.lock.resolve import Resolver
    from cog_nix.report import Reporter
    from cog_nix.spec import Context

RESULT = "result"
"""Name of the link to the built image, as nix-build makes it; it keeps the image from being collected."""


OVERLAY = "cog-nix.nix"
"""Name of the file that changes the description of the image."""


@dataclass(frozen=True)
class BuildOptions:
    """What the user decides about one build."""

    policy: Policy = field(default_factory=Policy)
    tag: str | None = None
    """Name of the image; None: ``image`` of cog.yaml, or ``cog-<folder>``."""
    labels: Mapping[str, str] = field(default_factory=dict)
    openapi: Path | None = None
    """A document to use instead of reading the source."""
    link: bool = True
    oci: bool = False
    """Whether to compress the layers as well, for registries and OCI layouts."""


@dataclass(frozen=True)
class Built:
    """An image in the store."""

    image: ImageDescription
    tag: str
    openapi: str
    config: Config
    oci: Path | None = None
    """An OCI image layout of the same image, when one was asked for."""


@dataclass(frozen=True)
class Services:
    """What building works with."""

    plugins: Plugins
    reporter: Reporter
    cache: Path = field(default_factory=cache_dir)

    def context(self, settings: Settings) -> Context:
        """Return what hooks are given."""
        from cog_nix.fetch import CachingFetcher  # noqa: PLC0415 - a build with nothing to fetch goes without
        from cog_nix.spec import Context  # noqa: PLC0415

        fetcher = CachingFetcher(self.cache, self.reporter)
        return Context(settings=settings, fetcher=fetcher, reporter=self.reporter, cache_dir=self.cache)

    def resolver(self, project: Project, settings: Settings) -> Resolver:
        """Return what makes locks."""
        from cog_nix.lock.resolve import Resolver  # noqa: PLC0415 - a build with a fresh lock goes without

        return Resolver(self.plugins, self.context(settings), optional_nix(), asked_in(project))


def build(project: Project, options: BuildOptions, services: Services) -> Built:
    """Build the image of a project.

    Args:
        project: where the configuration is.
        options: what the user decided.
        services: plugins, narration, cache.

    Raises:
        CogNixError: anything that is the user's to mend; nothing is left half-done.
    """
    config, settings = load(project, services.reporter)
    unsupported(project, config)
    ask(services.plugins, "before_build", project=project, config=config)
    openapi = read_openapi(project, config, options)
    nix = nix_store.discover()
    resolver = functools.partial(services.resolver, project, settings)
    lock = ensure_lock(project, config, settings, options.policy, resolver)
    document = openapi or signature.document(project.root, config.predict, config.train, sdk_version(lock))
    provide(project, lock, nix, functools.partial(services.context, settings))
    tag = options.tag or config.image or default_tag(project.root.name)
    spec = nix_spec(project, options, tag, openapi)
    root = project.state_dir / ("oci" if options.oci else "image") if options.link else None
    services.reporter.step(f"Building {tag}")
    foreign = bool(lock.packages) or (project.root / OVERLAY).exists()
    store_path = nix.build(nix_library() / "build.nix", spec, root, services.reporter, foreign=foreign)
    oci = nix.real(store_path) if options.oci else None
    image = ImageDescription.read(nix.real(str((oci / "image").readlink())) if oci else nix.real(store_path))
    if options.link:
        link_result(project, image, services.reporter)
    details = {"id": image.id, "tag": tag, "size": image.size}
    ask(services.plugins, "after_build", project=project, config=config, image=image.path, details=details)
    return Built(image, tag, document, config, oci)


def link_result(project: Project, image: ImageDescription, reporter: Reporter) -> None:
    """Make ``./result``, which runs wherever the store is; leave a file of the user's alone."""
    link = project.root / RESULT
    if link.exists() and not link.is_symlink():
        reporter.warn(f"{RESULT} is a file of yours; the image is {image.path}")
        return
    link_atomically(image.path, link)


def load(project: Project, reporter: Reporter) -> tuple[Config, Settings]:
    """Read cog.yaml and cog-nix.toml; pass on what cog.yaml is warned about.

    Raises:
        ConfigError: one of them is wrong.
    """
    loaded = cog_config.load(project)
    for warning in loaded.warnings:
        reporter.warn(warning)
    return loaded.config, cog_config.load_settings(project)


def asked_in(project: Project) -> dict[str, str]:
    """Return where each system package is asked for, as ``cog.yaml:7``."""
    document = cog_config.load(project).document
    build = document.data.get("build") or {}
    return {
        str(name): f"{project.config_path.name}:{document.line('build', 'system_packages', index)}"
        for index, name in enumerate(build.get("system_packages") or [])
    }


def unsupported(project: Project, config: Config) -> None:
    """Refuse what would be silently missing from the image.

    Raises:
        ConfigError: the configuration asks for something that is not built yet.
    """
    label = json.loads(config.label)
    asked = [
        *(f"build.{name}" for name in ("run", "pre_install") if label.get("build", {}).get(name)),
        *(name for name in ("weights", "observability") if label.get(name)),
    ]
    if asked:
        raise ConfigError(
            f"{project.config_path.name}: cog-nix does not build {' and '.join(asked)} yet.",
            hint="Move what commands install to system_packages and python_packages, "
            "or build this project with cog.",
        )


def read_openapi(project: Project, config: Config, options: BuildOptions) -> str:
    """Return the document that the user hands in, or check that one can be read from the source.

    Raises:
        ConfigError: the file that was handed in is not a document.
        SignatureError: the source cannot be described.
    """
    if options.openapi is None:
        signature.document(project.root, config.predict, config.train, "0")
        check_concurrency(project, config)
        return ""
    try:
        text = options.openapi.read_text(encoding="utf-8")
        if not isinstance(json.loads(text), dict):
            raise TypeError("not a JSON object")  # noqa: TRY301 - one message for all three
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{options.openapi} is not an OpenAPI document: {error}") from error
    return text


def check_concurrency(project: Project, config: Config) -> None:
    """Refuse more than one prediction at a time where the predictor cannot do it.

    Raises:
        ConfigError: in upstream's words.
    """
    _, is_async = signature.concurrency(project.root, config.predict, config.train)
    if (config.concurrency_max or 1) > 1 and not is_async:
        raise ConfigError(
            f"{project.config_path.name}: concurrency.max > 1 requires an async run() or predict() method",
            hint="Write `async def run(…)`, or remove concurrency.",
        )


def optional_nix() -> nix_store.Nix | None:
    """Return Nix where it is; a lock can be made without it."""
    try:
        return nix_store.discover()
    except NixError:
        return None


def nix_spec(project: Project, options: BuildOptions, tag: str, openapi: str) -> dict[str, Any]:
    """Return the arguments of ``nix/build.nix``."""
    included = [_text(path) for path in Ignore.load(project.root).walk()]
    config = PurePosixPath(project.config_path.relative_to(project.root).as_posix())
    needed = [str(config), *(str(parent) for parent in config.parents), ".dockerignore"]
    return {
        "lock": str(project.lock_path),
        "project": str(project.root),
        "name": name_in_store(tag),
        "tag": with_tag(tag),
        "config": str(config),
        "included": dict.fromkeys([*included, *needed], 1),
        "core": str(core()),
        "labels": {**git.labels(project.root), **options.labels},
        "openapi": openapi,
        "certificate": certificate.read(os.environ),
        "oci": options.oci,
    }


def _text(path: str) -> str:
    """Refuse a file name that is no text: neither JSON nor Nix can carry it.

    Raises:
        ConfigError: it is not UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise ConfigError(
            f"{shown}: this file's name is not UTF-8, so it cannot go into an image.",
            hint="Rename it, or add it to .dockerignore.",
        ) from error
    return path
