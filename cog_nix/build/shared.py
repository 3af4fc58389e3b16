"""Building what binary caches have a part of: only what they lack is downloaded and made here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from cog_nix.build.provide import add, digest, is_provided, paths_of, provided
from cog_nix.lock.format import built_from
from cog_nix.resolve import seed
from cog_nix.run_commands.ensure import STORE_NAME
from cog_nix.store.failures import NixFailedError
from cog_nix.store.paths import store_name, tree_path
from cog_nix.system.state import recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.config.model import Project
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.spec import Context
    from cog_nix.report import Reporter
    from cog_nix.store.nix import Nix
    from cog_nix.store.questions import Plan

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A build that takes from binary caches."""

    project: Project
    """Where it is remembered what was asked."""
    lock: Lock
    """What is needed."""
    nix: Nix
    """The store, with its caches."""
    context: Callable[[], Context]
    """Makes the services; called only when something has to be downloaded."""
    reporter: Reporter


def provide_part(lock: Lock, plan: Plan, nix: Nix, context: Callable[[], Context]) -> bool:
    """Make the store hold what a build still needs, where the rest is there or comes from elsewhere.

    Args:
        lock: names everything.
        plan: what the build would do.
        nix: the store.
        context: makes the services; called only when something is missing.

    Returns:
        Whether that is all. It is not where this version of cog-nix makes another seed of the lock.

    Raises:
        FetchError: something cannot be downloaded.
        NixError: the store cannot take it.
    """
    needed = {one.sha256: one for one in built_from(lock) if store_name(one.filename) in plan.builds}
    seedless = seed.store_name(lock.seed.python) in plan.builds
    if not needed and not seedless:
        return True
    services = context()
    missing = nix.missing_artifacts(list(needed.values())) if needed else []
    add(nix, missing, services.fetcher.artifacts(missing) if missing else {})
    return not seedless or seed.ensure(lock.seed, nix, services.fetcher, services.cache_dir) == lock.seed


def with_results(place: Place, step: Callable[[], T]) -> T:
    """Do what has the results of commands in the store, or makes them there.

    Args:
        place: whose build, and where.
        step: what to do; it needs all that the lock names where a command has to run.

    Raises:
        CogNixError: it fails.
    """
    nix, results = place.nix, [tree_path(run.nar_sha256, STORE_NAME) for run in place.lock.runs]
    if nix.caches.substituters and nix.obtain(results, place.reporter):
        return step()
    return provided(place.project, nix, place.context, place.lock, step)


def with_inputs(place: Place, plan: Callable[[Nix], Plan], step: Callable[[Nix], T]) -> T:
    """Do what needs the things that a lock names, or what caches made of them.

    Args:
        place: whose build, and where.
        plan: says what a Nix would do.
        step: what to do.

    Raises:
        CogNixError: it fails, and not for want of them.
    """
    nix = place.nix
    if nix.caches.substituters and not is_provided(place.project, place.lock, nix):
        made = shared(place, plan, step)
        if made is not None:
            return made
    return provided(place.project, nix, place.context, place.lock, lambda: step(alone(nix)))


def shared(place: Place, plan: Callable[[Nix], Plan], step: Callable[[Nix], T]) -> T | None:
    """Do what takes from binary caches, with what these lack put into the store.

    What they have comes first, then the rest is made without them: a cache that is down, half filled or
    signed by nobody who is trusted costs what it does not bring, and nothing else. It is asked once; as long
    as all is there that came, Nix has it.

    Args:
        place: whose build, and where.
        plan: says what a Nix would do.
        step: what to do.

    Returns:
        None where it cannot be done so, and everything has to be there.

    Raises:
        CogNixError: it fails, and would without any cache.
    """
    nix, lock = place.nix, place.lock
    mark = place.project.state_dir / "shared"
    asked = digest(nix, [*nix.caches.substituters, *paths_of(lock)])
    for remembered in (recall(mark) == asked, False):
        if not remembered and not _obtained(place, plan):
            return None
        try:
            made = step(alone(nix))
        except NixFailedError as error:
            # Nix went for a download by itself: what came has been collected since.
            if not remembered or not error.name or store_name(error.name) not in _downloads(lock):
                raise
            continue
        remember(mark, asked)
        return made
    return None


def _obtained(place: Place, plan: Callable[[Nix], Plan]) -> bool:
    """Take what caches have, and put into the store what the rest needs; return whether that is all."""
    nix, reporter = place.nix, place.reporter
    planned = plan(nix)
    for warning in planned.warnings:
        reporter.warn(warning)
    if planned.fetches:
        if not nix.obtain(planned.fetches, reporter):
            planned = plan(alone(nix))
    elif not planned.warnings and planned.builds & _downloads(place.lock):
        reporter.info("The binary caches have nothing of this")
    return provide_part(place.lock, planned, nix, place.context)


def alone(nix: Nix) -> Nix:
    """Return the same Nix without binary caches."""
    return replace(nix, caches=replace(nix.caches, substituters=()))


def _downloads(lock: Lock) -> set[str]:
    """Return the names of what cog-nix puts into the store."""
    return {store_name(one.filename) for one in built_from(lock)} | {seed.store_name(lock.seed.python)}
