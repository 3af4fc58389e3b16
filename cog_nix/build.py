"""From a folder with a cog.yaml to an image in the store. :func:`build` is the whole story."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix import config as cog_config
from cog_nix import git, signature
from cog_nix.errors import ConfigError, LockError, NixError, StaleLockError
from cog_nix.fetch import CachingFetcher
from cog_nix.ignore import Ignore
from cog_nix.lock import format as lock_format
from cog_nix.lock import inputs, seed
from cog_nix.lock.resolve import Resolver, Upgrade
from cog_nix.nixfiles import core, nix_library
from cog_nix.paths import cache_dir
from cog_nix.plugins import Plugins, ask
from cog_nix.spec import Context
from cog_nix.store import nix as nix_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.lock.model import Lock
    from cog_nix.report import Reporter

_PREFIX = "cog-"
_NAME_LENGTH = 26
_MARK = "\n__IMAGE__\n"
"""As in nix/builders/stream.py."""

RESULT = "result"
"""Name of the link to the built image, as nix-build makes it; it also keeps the image from being collected."""


@dataclass(frozen=True)
class BuildOptions:
    """What the user decides about one build."""

    update_lock: bool = False
    """Resolve again when the lock does not fit; otherwise refuse."""
    upgrade: Upgrade = field(default_factory=Upgrade)
    tag: str | None = None
    """Name of the image; None: ``image`` of cog.yaml, or ``cog-<folder>``."""
    labels: Mapping[str, str] = field(default_factory=dict)
    openapi: Path | None = None
    """A document to use instead of reading the source."""
    link: bool = True


@dataclass(frozen=True)
class Built:
    """An image in the store."""

    path: Path
    """The executable that writes it."""
    tag: str
    image_id: str
    size: int
    """Bytes of all layers together, uncompressed."""
    openapi: str
    config: Config


@dataclass(frozen=True)
class Services:
    """What building works with."""

    plugins: Plugins
    reporter: Reporter
    cache: Path = field(default_factory=cache_dir)

    def context(self, settings: Settings) -> Context:
        """Return what hooks are given."""
        fetcher = CachingFetcher(self.cache, self.reporter)
        return Context(settings=settings, fetcher=fetcher, reporter=self.reporter, cache_dir=self.cache)


def build(project: Project, options: BuildOptions, services: Services) -> Built:
    """Build the image of a project.

    Args:
        project: where the configuration is.
        options: what the user decided.
        services: plugins, narration, cache.

    Raises:
        CogNixError: anything that is the user's to mend; nothing is left half-done.
    """
    config, settings = cog_config.load_config(project), cog_config.load_settings(project)
    unsupported(project, config)
    ask(services.plugins, "before_build", project=project, config=config)
    openapi = read_openapi(project, config, options)
    nix = nix_store.discover()
    context = services.context(settings)
    lock = ensure_lock(project, config, settings, options, services, nix, context)
    document = openapi or signature.document(project.root, config.predict, config.train, sdk_version(lock))
    provide(lock, nix, context)
    services.reporter.step("Building the image")
    tag = options.tag or config.image or default_tag(project)
    spec = nix_spec(project, options, tag, document if openapi else "")
    link = project.root / RESULT if options.link else None
    store_path = nix.build(nix_library() / "build.nix", spec, link, services.reporter)
    built = describe(nix.real(store_path), tag, document, config)
    details = {"id": built.image_id, "tag": built.tag, "size": built.size}
    ask(services.plugins, "after_build", project=project, config=config, image=built.path, details=details)
    return built


def unsupported(project: Project, config: Config) -> None:
    """Refuse what would be silently missing from the image.

    Raises:
        ConfigError: the configuration asks for something that is not built yet.
    """
    asked = [
        name
        for name, value in (("run", config.build.run), ("pre_install", config.build.pre_install))
        if value
    ]
    if asked:
        keys = " and ".join(f"build.{name}" for name in asked)
        raise ConfigError(
            f"{project.config_path.name}: {keys}: cog-nix does not run build commands yet.",
            hint="Move what they install to system_packages and python_packages, or build this project with cog.",
        )


def read_openapi(project: Project, config: Config, options: BuildOptions) -> str:
    """Return the document that the user hands in, or check that one can be read from the source.

    Raises:
        ConfigError: the file that was handed in is not a document.
        SignatureError: the source cannot be described.
    """
    if options.openapi is None:
        signature.document(project.root, config.predict, config.train, "0")
        return ""
    try:
        text = options.openapi.read_text(encoding="utf-8")
        is_object = isinstance(json.loads(text), dict)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{options.openapi} is not an OpenAPI document: {error}") from error
    if not is_object:
        raise ConfigError(f"{options.openapi} is not an OpenAPI document: it is no JSON object")
    return text


def ensure_lock(
    project: Project,
    config: Config,
    settings: Settings,
    options: BuildOptions,
    services: Services,
    nix: nix_store.Nix | None,
    context: Context,
) -> Lock:
    """Return the project's lock, made when there is none.

    Raises:
        StaleLockError: there is one for other inputs, and it may not be updated.
    """
    former = former_lock(project, options.upgrade)
    fresh = former is not None and former.inputs == inputs.digest(config, settings)
    upgrading = options.upgrade.everything or options.upgrade.names
    if former and fresh and not upgrading:
        return former
    if former and not options.update_lock and not upgrading:
        raise StaleLockError(
            f"{project.lock_path.name} does not fit {project.config_path.name} any more: what is asked for has changed.",
            hint="To resolve what changed and keep every other pin:  cog-nix build --update-lock\n"
            "To move pins as well:  cog-nix lock --upgrade [NAME]",
        )
    check_upgrade_names(former, options.upgrade)
    lock = Resolver(services.plugins, context, nix).resolve(
        project, config, settings, former, options.upgrade
    )
    lock_format.write(lock, project.lock_path)
    return lock


def former_lock(project: Project, upgrade: Upgrade) -> Lock | None:
    """Return the lock so far; one that cannot be read is as good as none when all of it is made anew.

    Raises:
        LockError: it cannot be read, and pins of it are to be kept.
    """
    try:
        return lock_format.read(project.lock_path)
    except LockError:
        if upgrade.everything:
            return None
        raise


def check_upgrade_names(former: Lock | None, upgrade: Upgrade) -> None:
    """Refuse names that the lock does not hold.

    Raises:
        LockError: with the closest names.
    """
    if former is None or not upgrade.names:
        return
    known = {deb.package for deb in former.debs} | {wheel.name for wheel in former.wheels}
    for name in sorted(upgrade.names - known):
        close = ", ".join(get_close_matches(name, known))
        raise LockError(f"{name} is not in the lock.", hint=f"Did you mean {close}?" if close else "")


def optional_nix() -> nix_store.Nix | None:
    """Return Nix where it is; a lock can be made without it."""
    try:
        return nix_store.discover()
    except NixError:
        return None


def sdk_version(lock: Lock) -> str:
    """Return the version of the Cog SDK in the image.

    Raises:
        LockError: the lock has none.
    """
    for wheel in lock.wheels:
        if wheel.name == "cog":
            return wheel.version
    raise LockError("The lock holds no cog.", hint="Write it anew with:  cog-nix lock --upgrade")


def provide(lock: Lock, nix: nix_store.Nix, context: Context) -> None:
    """Put everything the lock names into the store: the seed and all downloads."""
    seed.ensure(lock.seed, nix, context.fetcher, context.cache_dir / "scratch")
    missing = nix.missing_artifacts(lock_format.artifacts_of(lock.debs, lock.wheels))
    if missing:
        files = context.fetcher.artifacts(missing)
        nix.add_artifacts([(artifact, files[artifact.sha256]) for artifact in missing])


def nix_spec(project: Project, options: BuildOptions, tag: str, openapi: str) -> dict[str, Any]:
    """Return the arguments of ``nix/build.nix``."""
    included = list(Ignore.load(project.root).walk())
    relative = project.config_path.relative_to(project.root).as_posix()
    return {
        "lock": str(project.lock_path),
        "project": str(project.root),
        "name": image_name(tag),
        "config": relative,
        "included": dict.fromkeys([*included, *parents(relative), ".dockerignore"], 1),
        "core": str(core()),
        "labels": {**git.labels(project.root), **options.labels},
        "openapi": openapi,
    }


def parents(relative: str) -> list[str]:
    """Return a relative path and the folders above it."""
    parts = relative.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def default_tag(project: Project) -> str:
    """Return ``cog-<folder>`` as upstream derives it (pkg/config/image_name.go)."""
    folder = re.sub(r"[^a-z0-9-]+", "", project.root.name.lower().replace(" ", "-"))[:_NAME_LENGTH]
    return folder if folder.startswith(_PREFIX) else f"{_PREFIX}{folder}"


def image_name(tag: str) -> str:
    """Return the name under which the image stands in the store: the last part of a reference, without its tag."""
    return tag.partition("@")[0].rpartition("/")[2].partition(":")[0] or "image"


def describe(path: Path, tag: str, openapi: str, config: Config) -> Built:
    """Read a built image's own description."""
    description = json.loads(path.read_text().partition(_MARK)[2])
    image_id = f"sha256:{hashlib.sha256(description['config'].encode()).hexdigest()}"
    size = sum(layer["size"] for layer in description["layers"])
    return Built(path=path, tag=tag, image_id=image_id, size=size, openapi=openapi, config=config)
