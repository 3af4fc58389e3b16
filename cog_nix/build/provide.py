"""Puts everything that a lock names into the store: the seed, and all downloads."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from cog_nix.errors import NixError
from cog_nix.lock import format as lock_format
from cog_nix.lock.format import built_from
from cog_nix.resolve import seed
from cog_nix.store.paths import file_path, store_name, tree_path
from cog_nix.system.state import recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cog_nix.config.model import Project
    from cog_nix.lock.model import Artifact, Lock
    from cog_nix.plugins.spec import Context
    from cog_nix.store.nix import Nix

T = TypeVar("T")

_TRIES = 3
"""So often what the garbage collector took is provided anew."""


def provide(project: Project, lock: Lock, nix: Nix, context: Callable[[], Context]) -> None:
    """Make the store hold what building needs.

    A lock of another version of cog-nix may have the hash of a seed that this version unpacks differently:
    its packages stay pinned, and the hash is written anew.

    Asking Nix what it holds takes a tenth of a no-op build's time, so a finished answer is remembered in
    ``.cog/provided`` for as long as every path is still there.

    Args:
        project: where to remember it.
        lock: what is needed.
        nix: the store.
        context: makes the services; called only when something is missing.

    Raises:
        FetchError: something cannot be downloaded.
        LockError: a wheel is not what the lock was made by.
        NixError: the store cannot take it.
    """
    if is_provided(project, lock, nix):
        return
    from cog_nix.resolve import wheel_facts  # noqa: PLC0415 - most builds have done this

    services = context()
    artifacts = list({artifact.sha256: artifact for artifact in built_from(lock)}.values())
    missing = nix.missing_artifacts(artifacts)
    files = services.fetcher.artifacts(missing) if missing else {}
    with ThreadPoolExecutor(1) as pool:  # one core unpacks the seed while another one adds files
        adding = pool.submit(add, nix, missing, files)
        found = seed.ensure(lock.seed, nix, services.fetcher, services.cache_dir)
        adding.result()
    wheel_facts.check(lock, project.lock_path.name, services.cache_dir, partial(_locate, nix))
    if found != lock.seed:
        services.reporter.info(
            f"{project.lock_path.name}: the builders' Python is taken in the form that this "
            "version of cog-nix has"
        )
        lock = replace(lock, seed=found)
        lock_format.write(lock, project.lock_path)
    remember(_mark(project), digest(nix, paths_of(lock)))


def is_provided(project: Project, lock: Lock, nix: Nix) -> bool:
    """Tell whether the store holds all that a lock names, without asking Nix."""
    paths = paths_of(lock)
    there = recall(_mark(project)) == digest(nix, paths)
    return there and all(os.path.lexists(nix.real(path)) for path in paths)


def provided(
    project: Project, nix: Nix, context: Callable[[], Context], lock: Lock, step: Callable[[], T]
) -> T:
    """Do what needs the things that a lock names, with these in the store.

    Nothing keeps them from being collected before a build uses them: roots for them would cost more than all
    the rest, on each build. So where some are gone after a failure, they are put there again.

    Args:
        project: as for :func:`provide`.
        nix: the store.
        context: as for :func:`provide`.
        lock: what is needed.
        step: what to do.

    Raises:
        CogNixError: it fails, and not for want of them.
    """
    for _ in range(_TRIES):
        provide(project, lock, nix, context)
        try:
            return step()
        except NixError:
            if all(os.path.lexists(nix.real(path)) for path in paths_of(lock)):
                raise
    provide(project, lock, nix, context)
    return step()


def add(nix: Nix, missing: list[Artifact], files: Mapping[str, Path]) -> None:
    """Put downloads into the store.

    Raises:
        NixError: it cannot take them.
    """
    if missing:
        nix.add_artifacts([(artifact, files[artifact.sha256]) for artifact in missing])


def _mark(project: Project) -> Path:
    return project.state_dir / "provided"


def _locate(nix: Nix, artifact: Artifact) -> Path | None:
    """Return where the store has a file."""
    path = nix.real(file_path(artifact.sha256, store_name(artifact.filename)))
    return path if path.exists() else None


def paths_of(lock: Lock) -> list[str]:
    """Return the store paths that building starts from."""
    return [
        tree_path(lock.seed.nar_sha256, seed.store_name(lock.seed.python)),
        *(file_path(one.sha256, store_name(one.filename)) for one in built_from(lock)),
    ]


def digest(nix: Nix, paths: list[str]) -> str:
    """Return what tells whether a store was asked about just these paths."""
    return hashlib.sha256("\n".join([nix.identity, *paths]).encode()).hexdigest()
