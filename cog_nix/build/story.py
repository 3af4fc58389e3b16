"""From a folder with a cog.yaml to an image in the store. :func:`build` is the whole story."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cog_nix import config as cog_config
from cog_nix.build.again import Found, Memory, entry, went_by
from cog_nix.build.bill import write_bill
from cog_nix.build.configuration import load
from cog_nix.build.files import check_places, weights_of, with_files
from cog_nix.build.interface import read_api
from cog_nix.build.nix_arguments import nix_arguments, selected
from cog_nix.build.options import OVERLAY, BuildOptions, Built, blob_arguments, gc_root, labels
from cog_nix.build.outside import outside_of_store
from cog_nix.build.result import NAME as RESULT
from cog_nix.build.result import link_result
from cog_nix.build.results import BuiltImage, with_linked_libraries
from cog_nix.build.services import Services
from cog_nix.build.shared import Place, with_inputs, with_results
from cog_nix.build.thin import thin_layout
from cog_nix.config.requirements import normalised
from cog_nix.image.description import ImageDescription, default_tag
from cog_nix.resolve.ensure import completed, ensure_lock, sdk_version
from cog_nix.resolve.request import Request
from cog_nix.resolve.sdk import local_wheels
from cog_nix.resolve.seed import with_own
from cog_nix.run_commands.ensure import check, ensure_runs
from cog_nix.store.library import nix_library
from cog_nix.store.questions import plan
from cog_nix.system.platforms import BUILDER
from cog_nix.system.state import make_way_for_link
from cog_nix.weights import lock as weights_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cog_nix.config.model import Config, Project
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.manager import Plugins
    from cog_nix.report import Reporter
    from cog_nix.store.nix import Nix

__all__ = ["BuildOptions", "Built", "Services", "build", "load"]


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
    hooked = services.plugins.implements("before_build")
    if not hooked and (found := memory.recall()):
        return again(project, options, services, found)
    memory.begin()
    loaded, settings = load(project, services.plugins, services.reporter)
    config = loaded.config
    check(project, config)
    weights_lock.check(project.root, config)
    services.plugins.before_build(project, config)
    if hooked and (found := memory.recall()):
        return again(project, options, services, replace(found, warnings=()))
    api = read_api(project, config, options.openapi)
    placed, missing = weights_of(project, config, inside=options.weights_inside)
    pitfalls = (*missing, *api.pitfalls)
    _warn(pitfalls, services.reporter)
    nix = services.nix(project, settings, offline=options.offline)
    request = Request(project, config, settings)
    tools = functools.cache(lambda: services.tools(project, loaded, settings))
    sources = _supply(request, options, services, nix)
    lock = ensure_lock(request, options.policy, services.plugins, services.resolver(tools))
    lock = with_files(
        request,
        with_own(lock, project.lock_path, tools),
        services.reporter,
        offline=options.offline,
        nix=nix,
    )
    for line in local_wheels(lock.wheels, project.root):
        services.reporter.log(line)
    context = functools.partial(services.context, settings, project, config.build.requirements)
    place = Place(project, lock, nix, context, services.reporter)
    tag = options.tag or config.image or config.model or default_tag(project.root.name)
    included = selected(project, config, memory.walked)
    unknown = _unknown_programs(request, lock, included, services)
    check_places(placed, lock.files, included)
    arguments = blob_arguments(lock, options) | nix_arguments(
        project,
        config,
        known,
        tag,
        api.handed_in,
        included=included,
        outside=outside_of_store(request, lock, included, services, placed),
        placed=placed,
        image=settings.image,
        sources=sources,
    )
    if (
        options.held
        and not (placed or lock.files)  # of these a registry is told nothing
        and (layout := thin_layout(place, options, arguments, services.plugins))
    ):
        return Built(_image_of(layout, nix), tag, api.document(sdk_version(lock)), config.build.gpu, layout)
    run = functools.partial(
        ensure_runs,
        nix=nix,
        options=options.runs,
        reporter=services.reporter,
        package_of=functools.partial(services.package_of, project, settings, lock.suite),
    )
    lock = with_results(place, lambda: run(project, config, lock))
    _begin(services, tag)

    def make(lock: Lock) -> BuiltImage:
        realised = functools.partial(realise, project, options, lock, arguments, services=services)
        asked = functools.partial(plan, expression=nix_library() / "build.nix", spec=arguments)
        return BuiltImage(lock, *with_inputs(replace(place, lock=lock), asked, realised))

    built = make(lock)
    if not options.offline:
        request = completed(
            request, built.lock, services.plugins, replace(options.policy, cog_base=lock.cog_base)
        )
        built = with_linked_libraries(built, request, nix, tools, make)
    if options.embed_sbom:
        arguments["documents"] = write_bill(project, built.image, tag, services.plugins)
        built = make(built.lock)
    lock, version, pitfalls = built.lock, sdk_version(built.lock), (*pitfalls, *unknown)
    result = Found(
        built.image, built.oci, tag, api.document(version), config.build.gpu, loaded.warnings, pitfalls
    )
    # Overlays and packages read what they like; a bill is written anew each time.
    if not (lock.packages or options.embed_sbom or (project.root / OVERLAY).exists()):
        now = entry(
            config,
            api,
            version,
            _known_programs(lock, services.plugins),
            unknown=unknown,
            pitfalls=missing,
        )
        by = replace(went_by(project, options, config, api, (nix, arguments)), entry=now)
        result = memory.keep(result, by, nix.state_dir)
    return finish(project, options, services, result, config)


def _check_platform(project: Project, nix: Nix) -> None:
    """Refuse a platform whose programs do not run here; what runs in a container says so itself."""
    if project.platform != BUILDER and not nix.within:
        from cog_nix.namespaces import emulation  # noqa: PLC0415 - most images are for what builds them

        emulation.check(project.platform)


def _supply(request: Request, options: BuildOptions, services: Services, nix: Nix) -> Mapping[str, str]:
    """Bring what an archive has, where one was named; see that all is here, where nothing may be fetched.

    And that programs of the image's platform run here.

    Returns:
        References of flakes whose sources came, by the lock's names.
    """
    _check_platform(request.project, nix)
    sources: Mapping[str, str] = {}
    if services.archive:
        from cog_nix.build.archived import bring  # noqa: PLC0415 - most builds have everything here, or fetch it

        sources = bring(request.project, request.config, services.archive, services, nix)
    if options.offline:
        from cog_nix.build.offline import check_offline  # noqa: PLC0415 - a faster build with the network

        check_offline(request, options.policy, services, nix)
    return sources


def _begin(services: Services, tag: str) -> None:
    services.reporter.step(f"Building {tag}")
    services.prepare()


def again(project: Project, options: BuildOptions, services: Services, found: Found) -> Built:
    """Do what is left to do of a build that nothing has changed since; say what it said."""
    _warn((*found.warnings, *found.pitfalls), services.reporter)
    services.reporter.step(f"Building {found.tag}")
    config = cog_config.load_config(project) if services.plugins.implements("after_build") else None
    return finish(project, options, services, found, config)


def finish(
    project: Project, options: BuildOptions, services: Services, found: Found, config: Config | None
) -> Built:
    """Make ``./result`` and tell the plugins.

    Args:
        project: what was built.
        options: what the user decided.
        services: its plugins hear of it.
        found: what was built.
        config: for the plugins; None: there are none that hear of it.
    """
    image, details = found.image, {"id": found.image.id, "tag": found.tag, "size": found.image.size}
    linked = options.result_link and _link(project, image, services.reporter)
    if config:
        services.plugins.after_build(project, config, image.path, details)
    return Built(image, found.tag, found.openapi, found.gpu, found.oci, found.kept, linked)


def _unknown_programs(request: Request, lock: Lock, paths: Iterable[str], services: Services) -> list[str]:
    """Warn of each program that the source starts since the lock was made; return what was said."""
    if lock.programs is None or not request.settings.system.programs:
        return []
    from cog_nix.resolve import programs  # noqa: PLC0415 - a build without any source goes without

    starts = programs.starts(request.root, request.config, request.settings, services.plugins, paths)
    new = programs.unknown(lock, starts)
    names = {wheel.name for wheel in lock.wheels}
    warnings = [
        f"{start.place} starts {start.program}, which {request.project.lock_path.name} was made without: "
        "`cog-nix lock` adds its package"
        for start in new
        if normalised(start.program) not in names
    ]
    _warn(warnings, services.reporter)
    return warnings


def _known_programs(lock: Lock, plugins: Plugins) -> list[str] | None:
    """Return the programs that the source may start; None where it is not looked into."""
    if lock.programs is None:
        return None
    return [*lock.programs, *sorted(plugins.describe_system().programs)]


def _warn(warnings: Iterable[str], reporter: Reporter) -> None:
    for warning in warnings:
        reporter.warn(warning)


def realise(
    project: Project,
    options: BuildOptions,
    lock: Lock,
    spec: Mapping[str, Any],
    nix: Nix,
    *,
    services: Services,
) -> tuple[ImageDescription, Path | None]:
    """Let Nix make the image; return it, and the OCI layout where one was asked for.

    Raises:
        NixError: it fails.
    """
    root = gc_root(project, options)
    if root:
        make_way_for_link(root)
    foreign = bool(lock.packages) or (project.root / OVERLAY).exists()
    store_path = nix.build(
        nix_library() / "build.nix", spec, root, services.reporter, foreign=foreign, made=services.made
    )
    if not options.oci:
        return ImageDescription.read(nix.real(store_path)), None
    oci = nix.real(store_path)
    return _image_of(oci, nix), oci


def _image_of(layout: Path, nix: Nix) -> ImageDescription:
    """Return the image that an OCI layout was made of."""
    return ImageDescription.read(nix.real(str((layout / "image").readlink())))


def _link(project: Project, image: ImageDescription, reporter: Reporter) -> bool:
    """Make ``./result``, where the project can be written to; return whether it leads to the image."""
    if project.writable:
        return link_result(project.root, image.path, reporter)
    reporter.info(
        f"{project.root} cannot be written to: there is no ./{RESULT}, and what is remembered of this "
        f"project is in {project.state_dir}"
    )
    return False
