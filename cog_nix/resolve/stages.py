"""From a configuration to a lock: :func:`resolve` is the whole story, and each stage has its module."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.lock.reasons import Origin
from cog_nix.lock.run_keys import fitting
from cog_nix.resolve import programs, python_libraries, seed, system
from cog_nix.resolve.additions import Additions
from cog_nix.resolve.assemble import Parts, assemble
from cog_nix.resolve.dependency_search import DependencySearch
from cog_nix.resolve.foundation import lay_foundation
from cog_nix.resolve.packages import lock_packages
from cog_nix.resolve.toolkit import resolve_toolkit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cog_nix.elf.scan import Scan
    from cog_nix.lock.model import Lock, Wheel
    from cog_nix.resolve.needs import Owner
    from cog_nix.resolve.request import Request, Tools


def resolve(request: Request, tools: Tools) -> Lock:
    """Return the lock for a configuration.

    Args:
        request: what is to be resolved.
        tools: with what.

    Raises:
        LockError: something cannot be found or satisfied.
    """
    told = request.pins.told
    packages = lock_packages(request.project, request.settings.nix.packages, tools.nix, request.pins.packages)
    found = lay_foundation(request, tools)
    with seed.in_background(request.pins, tools) as made_seeds:
        search = DependencySearch(found.tools, request.config, request.root, found.interpreter)
        python, bringing = python_libraries.extend(found.python_request, found.python, search)
        bringing.tell(tools.reporter, told)
        _warn_of_cpu_build(request, tools, python.wheels)
        toolkit = resolve_toolkit(found)
        starts = programs.starts(request.root, request.config, request.settings, tools.plugins)
        present = system.always_there(found.system.groups, tools.plugins.describe_system())
        added = search.libraries(found.suite, python.wheels, present)
        started = search.programs(found.suite, starts, python.wheels, present)
        added = added.beside(system.what_fits(found, added, started))
        build_tools = (
            *found.choice.build_packages,
            *python.build_packages,
            *(found.toolkit.build_packages if found.toolkit else ()),
        )
        builds = request.commands or any(wheel.source for wheel in python.wheels)
        whole = system.extend(found, added, build_tools if builds else ())
        added.tell(tools.reporter, told)
        parts = Parts(
            request=request,
            found=found,
            packages=packages,
            system=whole,
            python=python,
            toolkit=toolkit,
            seeds=made_seeds(),
            programs=programs.names(starts) if request.settings.system.programs else None,
            python_additions=bringing,
            additions=added,
        )
    linked = _linked(parts, tools, search)
    if linked.reasons:
        linked.tell(tools.reporter, told)
        parts = replace(parts, linked=linked, linked_debs=system.add_linked(found, added, linked))
    return _with_runs(assemble(parts, tools), request)


def _warn_of_cpu_build(request: Request, tools: Tools, wheels: Sequence[Wheel]) -> None:
    """Tell of a PyTorch for another processor that comes without the parts of CUDA that it would need."""
    platform, own = request.project.platform, tools.plugins.describe_gpu_libraries()
    torch = next((wheel for wheel in wheels if wheel.name == "torch"), None)
    if (
        torch
        and request.config.build.gpu
        and not platform.is_usual
        and not any(own.include(one.name) for one in wheels)
    ):
        tools.reporter.warn(
            f"torch {torch.version} for {platform} comes without CUDA: the model computes on the CPU there. "
            "Newer releases of it bring CUDA."
        )


def results_lack(request: Request, tools: Tools, lock: Lock, results: Mapping[Owner, Scan]) -> bool:
    """Tell whether results of commands and source builds link to what is not in the image.

    Args:
        request: what the lock was resolved for.
        tools: with what.
        lock: of the image.
        results: what was found in them.

    Raises:
        LockError: a wheel cannot be read, or an index is broken.
    """
    search = DependencySearch(tools, request.config, request.root, lock.interpreter)
    return bool(search.libraries(lock.suite, lock.wheels, lock.installed, results).reasons)


def _linked(parts: Parts, tools: Tools, search: DependencySearch) -> Additions:
    """Return packages with libraries that results of commands and source builds link to."""
    results, groups = parts.request.results, parts.system.groups
    if results is None:
        return _linked_before(parts, tools)
    present = [deb for group in ("base", "python", "system", "libraries") for deb in groups.get(group, ())]
    return search.libraries(parts.found.suite, parts.python.wheels, present, results)


def _linked_before(parts: Parts, tools: Tools) -> Additions:
    """Return what the previous lock has for source builds and results that are as they were."""
    request, previous = parts.request, parts.request.previous
    reasons = previous.reasons if previous else ()
    same = {Origin(wheel.name, wheel.version) for wheel in parts.python.wheels if wheel.source}
    if previous and any(reason.origin.command for reason in reasons):
        # What a command of before linked to says nothing of the command that took its place.
        kept = len(_with_runs(assemble(parts, tools), request).runs)
        ran_anew = range(kept + 1, len(previous.runs) + 1)
        same |= {Origin(command=one) for one in range(1, request.commands + 1) if one not in ran_anew}
    return Additions(tuple(reason for reason in reasons if reason.origin in same))


def _with_runs(lock: Lock, request: Request) -> Lock:
    """Return a lock with those results of commands so far that are still what the commands give."""
    runs = request.previous.runs if request.previous else ()
    files = request.previous.files if request.previous else ()
    return replace(lock, runs=fitting(lock, request.config, runs), files=files)
