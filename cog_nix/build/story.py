"""From a folder with a cog.yaml to an image in the store. :func:`build` is the whole story."""

from __future__ import annotations

import functools
import os
import posixpath
import re
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cog_nix import config as cog_config
from cog_nix.build.again import Entry, Found, Memory, WentBy
from cog_nix.build.interface import Api, read_api
from cog_nix.build.made import Made
from cog_nix.build.provide import provided
from cog_nix.build.result import NAME as RESULT
from cog_nix.build.result import link_result
from cog_nix.config.python_project import files as python_files
from cog_nix.config.python_project import is_project
from cog_nix.config.requirements import normalised
from cog_nix.errors import ConfigError, LockError, NixError
from cog_nix.image.description import ImageDescription, default_tag, name_in_store, with_tag
from cog_nix.lock import format as lock_format
from cog_nix.plugins import bring as programs
from cog_nix.plugins.manager import Plugins, ask, implemented
from cog_nix.project import git
from cog_nix.project.ignore import IGNORE_FILE, Ignore
from cog_nix.project.large import large_files, with_folders
from cog_nix.resolve import cog_base, inputs
from cog_nix.resolve.ensure import Policy, ensure_lock, sdk_version
from cog_nix.run_commands.ensure import RunOptions, check, ensure_runs
from cog_nix.store import nix as nix_store
from cog_nix.store.library import nix_library, package_folder
from cog_nix.system import certificate
from cog_nix.system.paths import cache_dir
from cog_nix.system.state import make_way_for_link
from cog_nix.weights import lock as weights_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.spec import Context
    from cog_nix.report import Reporter
    from cog_nix.resolve.stages import Resolver

OWN_LABELS = "run.cog.nix."
"""What names of labels begin with that only cog-nix writes."""

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
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
    offline: bool = False
    """Use no network; refuse what would need it."""
    runs: RunOptions = field(default_factory=RunOptions)
    oci: bool = False
    """Whether to compress the layers as well, for registries and OCI layouts."""


@dataclass(frozen=True)
class Built:
    """An image in the store."""

    image: ImageDescription
    tag: str
    openapi: str
    gpu: bool
    """Whether the model wants one."""
    oci: Path | None = None
    """An OCI image layout of the same image, when one was asked for."""
    kept: str | None = None
    """Name of what is remembered of this build, for the next one (:mod:`cog_nix.build.again`)."""
    linked: bool = False
    """Whether ``./result`` leads to it."""


@dataclass(frozen=True)
class Services:
    """What building works with."""

    plugins: Plugins
    reporter: Reporter
    cache: Path = field(default_factory=cache_dir)
    whole: bool = False
    """Whether what is looked into will be built from as well, so that parts of it would come twice."""
    meanwhile: Callable[[], object] | None = None
    """Called on a thread of its own while Nix works: prepares what comes afterwards, and fails there."""

    def context(
        self, settings: Settings, project: Project | None = None, requirements: Sequence[str] = ()
    ) -> Context:
        """Return what hooks are given.

        Args:
            settings: cog-nix.toml.
            project: whose files may be among what is fetched.
            requirements: its requirement lines, which may carry credentials.
        """
        from cog_nix.fetch import CachingFetcher  # noqa: PLC0415 - a build with nothing to fetch goes without
        from cog_nix.plugins.spec import Context  # noqa: PLC0415

        def credentials() -> list[str]:
            named = ask(self.plugins, "download_credentials", requirements=requirements)
            return [url for urls in named for url in urls]

        root = project.root if project else None
        fetcher = CachingFetcher(
            self.cache, self.reporter, credentials=credentials, root=root, whole=self.whole
        )
        return Context(settings=settings, fetcher=fetcher, reporter=self.reporter, cache_dir=self.cache)

    def nix(self, project: Project, settings: Settings, *, offline: bool = False) -> nix_store.Nix:
        """Find Nix, here or in a container, or bring it.

        Args:
            project: what is built.
            settings: cog-nix.toml, which may say where the Debian archive is.
            offline: whether nothing may be fetched.

        Raises:
            NixError: there is none that can build, and none can be brought.
        """
        from cog_nix.container import choose  # noqa: PLC0415 - commands that need no Nix go without

        bring = functools.partial(
            programs.bring, "nix", self.reporter, self.plugins, settings, offline=offline
        )
        context = functools.partial(self.context, settings, project)
        # A flake beside it belongs to all that Git keeps.
        tree = next((one for one in (project.root, *project.root.parents) if (one / ".git").exists()), None)
        folders = [project.root, *([tree] if tree else [])]
        place = choose.Place(self.plugins, context, folders, self.cache, os.environ)
        return choose.choose(place, lambda: nix_store.discover(bring=bring, reporter=self.reporter))

    def package_of(self, project: Project, settings: Settings, suite: str, program: str) -> str:
        """Return the system package that has a program, for advice; "" where none is known."""
        from cog_nix.report import SilentReporter  # noqa: PLC0415
        from cog_nix.resolve import programs as started  # noqa: PLC0415 - only where one is missing

        quiet = replace(self, reporter=SilentReporter())
        return started.package_of(program, suite, self.plugins, quiet.context(settings, project))

    def resolver(self, project: Project, loaded: cog_config.Loaded, settings: Settings) -> Resolver:
        """Return what makes locks, and knows where each package is asked for."""
        from cog_nix.resolve.stages import Resolver  # noqa: PLC0415 - a build with a fresh lock goes without

        context = self.context(settings, project, loaded.config.build.requirements)
        return Resolver(
            self.plugins,
            context,
            self._optional_nix(project, settings),
            asked_in(project, loaded),
            python_asked_in(project, loaded),
        )

    def _optional_nix(self, project: Project, settings: Settings) -> nix_store.Nix | None:
        """Return Nix where it is or can be brought; a lock can be made without it."""
        try:
            found = self.nix(project, settings)
        except NixError:
            return None
        return None if found.within else found


def build(project: Project, options: BuildOptions, services: Services) -> Built:
    """Build the image of a project.

    Args:
        project: where the configuration is.
        options: what the user decided.
        services: plugins, narration, cache.

    Raises:
        CogNixError: anything that is the user's to mend; nothing is left half-done.
    """
    known = labels(project, options)
    memory = Memory(project, options, known)
    hooked = implemented(services.plugins, "before_build")
    if not hooked and (found := memory.recall()):
        return again(project, options, services, found)
    memory.begin()
    loaded, settings = load(project, services.reporter)
    config = loaded.config
    check(project, config)
    weights_lock.check(project.root, config)
    ask(services.plugins, "before_build", project=project, config=config)
    if hooked and (found := memory.recall()):
        return again(project, options, services, replace(found, warnings=()))
    api = read_api(project, config, options.openapi)
    pitfalls = (*_missing_weights(config), *api.pitfalls)
    for pitfall in pitfalls:
        services.reporter.warn(pitfall)
    nix = services.nix(project, settings, offline=options.offline)
    resolver = functools.partial(services.resolver, project, loaded, settings)
    if options.offline:
        from cog_nix.build.offline import check_offline  # noqa: PLC0415 - a faster build with the network

        check_offline(project, config, settings, nix, services.cache, asked=options.policy.cog_base)
    lock = ensure_lock(project, config, settings, options.policy, resolver)
    context = functools.partial(services.context, settings, project, config.build.requirements)
    steadily = functools.partial(provided, project, nix, context)
    run = functools.partial(
        ensure_runs,
        nix=nix,
        options=options.runs,
        reporter=services.reporter,
        package_of=functools.partial(services.package_of, project, settings, lock.suite),
    )
    lock = steadily(lock, lambda: run(project, config, lock))
    tag = options.tag or config.image or config.model or default_tag(project.root.name)
    included = selected(project, config, memory)
    unknown = _unknown_programs(project, config, settings, lock, paths=included, reporter=services.reporter)
    spec = {**nix_spec(project, config, known, tag, api.handed_in, included=included), "oci": options.oci}
    services.reporter.step(f"Building {tag}")
    if services.meanwhile:
        threading.Thread(target=services.meanwhile, daemon=True).start()
    make = functools.partial(realise, project, options, nix=nix, reporter=services.reporter)
    image, oci = steadily(lock, lambda: make(lock, spec))
    made = Made(image, lock, nix.store_dir, project.state_dir)
    if made.is_new and not options.offline:
        if scans := made.scans():
            linked = resolver().link(project, config, settings, lock, scans)
            if linked != lock:
                lock_format.write(linked, project.lock_path)
                lock = linked
                image, oci = steadily(lock, lambda: make(lock, spec))
                made = Made(image, lock, nix.store_dir, project.state_dir)
        made.remember()
    version, pitfalls = sdk_version(lock), (*pitfalls, *unknown)
    result = Found(image, oci, tag, api.document(version), config.build.gpu, loaded.warnings, pitfalls)
    if not lock.packages and not (project.root / OVERLAY).exists():  # they read what they like
        by = went_by(project, options, config, api, (nix, spec))
        by = replace(by, entry=entry(config, api, version, lock, unknown))
        result = memory.keep(result, by, nix.state_dir)
    return finish(project, options, services, result, config)


def again(project: Project, options: BuildOptions, services: Services, found: Found) -> Built:
    """Do what is left to do of a build that nothing has changed since; say what it said."""
    for warning in (*found.warnings, *found.pitfalls):
        services.reporter.warn(warning)
    services.reporter.step(f"Building {found.tag}")
    config = cog_config.load_config(project) if implemented(services.plugins, "after_build") else None
    return finish(project, options, services, found, config)


def finish(
    project: Project, options: BuildOptions, services: Services, found: Found, config: Config | None
) -> Built:
    """Make ``./result`` and tell the plugins.

    Args:
        project: what was built.
        options: what the user decided.
        services: its plugins hear of it.
        found: what was made.
        config: for the plugins; None: there are none that hear of it.
    """
    image, details = found.image, {"id": found.image.id, "tag": found.tag, "size": found.image.size}
    linked = options.link and _link(project, image, services.reporter)
    ask(services.plugins, "after_build", project=project, config=config, image=image.path, details=details)
    return Built(image, found.tag, found.openapi, found.gpu, found.oci, found.kept, linked)


def went_by(
    project: Project,
    options: BuildOptions,
    config: Config,
    api: Api,
    asked: tuple[nix_store.Nix, Mapping[str, Any]],
) -> WentBy:
    """Return what a build went by besides the files that it took.

    Args:
        project: what was built.
        options: what the user decided.
        config: names files that were read.
        api: names others, also such as are not there.
        asked: Nix, and the values that it was given.
    """
    named = {*_read_in_builds(project, config), IGNORE_FILE, weights_lock.NAME}
    named |= inputs.files(config.build.requirements)
    fixed = {project.config_path, project.settings_path, project.lock_path, project.root / OVERLAY}
    nix, spec = asked
    return WentBy(
        read=frozenset(fixed | {project.root / name for name in named if "\0" not in name}),
        sources=api.described.sources if api.described else frozenset(),
        command=nix.build_command(nix_library() / "build.nix", _root(project, options)),
        spec=spec,
    )


def entry(config: Config, api: Api, version: str, lock: Lock, unknown: Sequence[str] = ()) -> Entry | None:
    """Return how a model's interface is read when its source alone has changed.

    Args:
        config: names the entry points.
        api: what was read from them.
        version: of Cog's package in the image.
        lock: knows the programs that the source starts.
        unknown: what was said of others.

    Returns:
        None where more than the source decides whether it can be built.
    """
    concurrency = config.concurrency_max or (api.described.leading.concurrency if api.described else None)
    if api.handed_in or unknown or (concurrency or 1) > 1:
        return None
    pitfalls = _missing_weights(config)
    return {
        "predict": config.predict,
        "train": config.train,
        "version": version,
        "pitfalls": pitfalls,
        "programs": None if lock.programs is None else list(lock.programs),
    }


def _unknown_programs(
    project: Project,
    config: Config,
    settings: Settings,
    lock: Lock,
    *,
    paths: Iterable[str],
    reporter: Reporter,
) -> list[str]:
    """Warn of each program that the source starts since the lock was made; return what was said."""
    if lock.programs is None or not settings.debian.programs:
        return []
    from cog_nix.resolve import programs  # noqa: PLC0415 - a build without any source goes without

    new = programs.unknown(lock, programs.starts(project.root, config, settings, paths))
    names = {wheel.name for wheel in lock.wheels}
    warnings = [
        f"{start.place} starts {start.program}, which {project.lock_path.name} was made without: "
        "`cog-nix lock` adds its package"
        for start in new
        if normalised(start.program) not in names
    ]
    for warning in warnings:
        reporter.warn(warning)
    return warnings


def _missing_weights(config: Config) -> list[str]:
    return [
        f"the files of weight {weight.name} are not in the image: mount {weight.target}"
        for weight in config.weights
    ]


def realise(
    project: Project,
    options: BuildOptions,
    lock: Lock,
    spec: Mapping[str, Any],
    *,
    nix: nix_store.Nix,
    reporter: Reporter,
) -> tuple[ImageDescription, Path | None]:
    """Let Nix make the image; return it, and the OCI layout where one was asked for.

    Raises:
        NixError: it fails.
    """
    root = _root(project, options)
    if root:
        make_way_for_link(root)
    foreign = bool(lock.packages) or (project.root / OVERLAY).exists()
    store_path = nix.build(nix_library() / "build.nix", spec, root, reporter, foreign=foreign)
    if not options.oci:
        return ImageDescription.read(nix.real(store_path)), None
    oci = nix.real(store_path)
    return ImageDescription.read(nix.real(str((oci / "image").readlink()))), oci


def _root(project: Project, options: BuildOptions) -> Path | None:
    """Return the link that keeps what is built from being collected; None when none is wanted."""
    return project.state_dir / ("oci" if options.oci else "image") if options.link else None


def _link(project: Project, image: ImageDescription, reporter: Reporter) -> bool:
    """Make ``./result``, where the project can be written to; return whether it leads to the image."""
    if project.writable:
        return link_result(project.root, image.path, reporter)
    reporter.info(
        f"{project.root} cannot be written to: there is no ./{RESULT}, and what is remembered of this "
        f"project is in {project.state_dir}"
    )
    return False


def load(project: Project, reporter: Reporter) -> tuple[cog_config.Loaded, Settings]:
    """Read cog.yaml and cog-nix.toml; pass on what cog.yaml is warned about.

    Raises:
        ConfigError: one of them is wrong.
    """
    loaded = cog_config.load(project)
    for warning in loaded.warnings:
        reporter.warn(warning)
    return loaded, cog_config.load_settings(project)


def asked_in(project: Project, loaded: cog_config.Loaded) -> dict[str, str]:
    """Return where each system package is asked for, as ``cog.yaml:7``."""
    document = loaded.document
    names = document.value(list, "build", "system_packages") or []
    return {
        str(name): f"{project.config_path.name}:{document.line('build', 'system_packages', index)}"
        for index, name in enumerate(names)
    }


def python_asked_in(project: Project, loaded: cog_config.Loaded) -> dict[str, str]:
    """Return where each Python package is asked for first, by normalised name (PEP 503)."""
    document = loaded.document
    file = document.value(str, "build", "python_requirements") or project.config_path.name
    places: dict[str, str] = {}
    for line in cog_config.requirement_lines(document, project.root):
        if found := _REQUIREMENT.match(line.text):
            places.setdefault(normalised(found[0]), f"{file}:{line.number}")
    return places


def explain(project: Project, name: str) -> list[str]:
    """Tell why something is in a project's image.

    Raises:
        ConfigError: cog.yaml is wrong.
        LockError: there is no lock, or nothing of this name in it.
    """
    from cog_nix.lock import explain as lock_explain  # noqa: PLC0415 - nothing else needs it
    from cog_nix.programs.project import started_by  # noqa: PLC0415 - the same

    lock = lock_format.read(project.lock_path)
    if lock is None:
        raise LockError(f"There is no {project.lock_path.name} yet.", hint="Make it with:  cog-nix lock")
    loaded = cog_config.load(project)
    base = dict.fromkeys(cog_base.PACKAGES, cog_base.PLACE) if lock.cog_base else {}
    asked = {**base, **asked_in(project, loaded)}
    starts = {start.program: start.place for start in started_by(project.root)} if lock.programs else {}
    return lock_explain.explain(
        lock, name, lock_explain.Asked(asked, python_asked_in(project, loaded), starts)
    )


def labels(project: Project, options: BuildOptions) -> dict[str, str]:
    """Return the labels that are known before the image is: Git's, and the user's annotations.

    Raises:
        ConfigError: an annotation would replace a label of cog-nix's own.
    """
    ours = sorted(name for name in options.labels if name.startswith(OWN_LABELS))
    if ours:
        raise ConfigError(
            f"--annotation {ours[0]}: labels that begin with {OWN_LABELS} are cog-nix's own.",
            hint="Choose another name.",
        )
    return {**git.labels(project.root), **options.labels}


def nix_spec(
    project: Project,
    config: Config,
    labels: Mapping[str, str],
    tag: str,
    openapi: str,
    *,
    included: Mapping[str, int],
) -> dict[str, Any]:
    """Return the arguments of ``nix/build.nix``."""
    read = _read_in_builds(project, config)
    large = set(large_files(project.root, included)).difference(read)
    return {
        "lock": str(project.lock_path),
        "project": str(project.root),
        "name": name_in_store(tag),
        "tag": with_tag(tag),
        "config": project.config_path.relative_to(project.root).as_posix(),
        "configured": _with_parents(_configured_by(project, config)),
        "included": {path: 1 for path in included if path not in large} if large else dict(included),
        **({"weights": with_folders(sorted(large))} if large else {}),
        "core": str(package_folder()),
        "labels": dict(labels),
        "openapi": openapi,
        "certificate": certificate.read(os.environ),
        "environment": [list(pair) for pair in config.environment],
    }


def selected(project: Project, config: Config, memory: Memory | None = None) -> dict[str, int]:
    """Return the files and folders that the build sees: the image's, and those that it only reads.

    Args:
        project: whose.
        config: names some.
        memory: is told what the walk through the project saw.

    Raises:
        ConfigError: the name of one of them is no text.
    """
    ignore = Ignore.load(project.root)
    taken = dict.fromkeys(map(_text, ignore.walk()), 1)
    if memory:
        memory.walked(ignore.entered, tuple(taken))
    return taken | _with_parents(_read_in_builds(project, config))


def _with_parents(paths: Iterable[str]) -> dict[str, int]:
    """Return files with the folders above them, as Nix looks for them."""
    names = map(PurePosixPath, paths)
    return dict.fromkeys((str(one) for name in names for one in (name, *name.parents)), 1)


def _configured_by(project: Project, config: Config) -> list[str]:
    """Return the files that a build reads the project's configuration from."""
    read = [project.config_path.relative_to(project.root).as_posix()]
    read += [name for name in (config.build.python_requirements,) if name and not name.startswith("/")]
    read += [line for line in config.build.requirements if line.startswith("./")]  # local archives
    read += _of_python_project(config, project)
    if config.weights:
        read.append(weights_lock.NAME)
    return list(map(posixpath.normpath, read))


def _read_in_builds(project: Project, config: Config) -> list[str]:
    """Return the files that the builders of an image read, whether or not they are in it."""
    read = [".dockerignore", *_configured_by(project, config)]
    if config.tracing_setup:
        real = (project.root / config.tracing_setup).resolve().relative_to(project.root.resolve())
        read += [config.tracing_setup, real.as_posix()]
    return list(map(posixpath.normpath, read))


def _of_python_project(config: Config, project: Project) -> list[str]:
    """Return the files beside ``python_requirements`` that complete a configuration."""
    named = config.build.python_requirements
    if not named or not is_project(named):
        return []
    files = python_files(posixpath.normpath(named), project.root)
    return [*files, posixpath.join(posixpath.dirname(named), ".python-version")]


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
