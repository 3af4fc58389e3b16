"""Building what binary caches have a part of: only what they lack is downloaded and made here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from cog_nix.build.provide import add, digest, paths_of
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
    from cog_nix.store.nix import Nix
    from cog_nix.store.questions import Plan

T = TypeVar("T")


def provide_part(lock: Lock, plan: Plan, nix: Nix, context: Callable[[], Context]) -> bool:
    """Make the store hold what a build still needs, where the rest is there or comes from elsewhere.

    Args:
        lock: names everything.
        plan: what the build would do.
        nix: the store.
        context: makes the services; called only when something is missing.

    Returns:
        Whether that is all. It is not where this version of cog-nix makes another seed of the lock's packages.

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


def has_results(lock: Lock, nix: Nix) -> bool:
    """Tell whether the store has the recorded results of all commands, or gets them from a binary cache."""
    return nix.obtain([tree_path(run.nar_sha256, STORE_NAME) for run in lock.runs])


def shared(
    project: Project,
    lock: Lock,
    nix: Nix,
    context: Callable[[], Context],
    plan: Callable[[], Plan],
    step: Callable[[Nix], T],
) -> T | None:
    """Do what takes from binary caches, with what these lack put into the store.

    What the caches have is asked once: as long as nothing else is to be built, Nix finds out for itself.

    Args:
        project: where it is remembered.
        lock: what is needed.
        nix: the store, with its caches.
        context: as for :func:`provide_part`.
        plan: says what would be done.
        step: what to do.

    Returns:
        None where it cannot be done so, and everything has to be there.

    Raises:
        CogNixError: it fails, and would without any cache.
    """
    mark = project.state_dir / "shared"
    asked = digest(nix, [*nix.caches.substituters, *paths_of(lock)])
    if recall(mark) != asked and not provide_part(lock, plan(), nix, context):
        return None
    try:
        made = step(nix)
    except NixFailedError as error:
        mark.unlink(missing_ok=True)
        if error.name and store_name(error.name) not in _downloads(lock):
            raise
        context().reporter.warn(
            f"What the binary caches have could not be used, so it is made here: {error.said.strip()}"
        )
        return None
    remember(mark, asked)
    return made


def alone(nix: Nix) -> Nix:
    """Return the same Nix without binary caches."""
    return replace(nix, caches=replace(nix.caches, substituters=()))


def _downloads(lock: Lock) -> set[str]:
    """Return the names of what cog-nix puts into the store; Nix fails at them where a cache promised too much."""
    return {store_name(one.filename) for one in built_from(lock)} | {seed.store_name(lock.seed.python)}
