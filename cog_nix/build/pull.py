"""Which store paths of a project are worth sharing, and which of them it would take from others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.build.configuration import load
from cog_nix.build.nix_arguments import nix_arguments, selected
from cog_nix.build.thin import keys_of
from cog_nix.image.description import default_tag
from cog_nix.lock import format as lock_format
from cog_nix.lock.format import NotALockError, built_from
from cog_nix.project.large import CROWDED, LARGE
from cog_nix.resolve import seed
from cog_nix.run_commands.ensure import STORE_NAME
from cog_nix.store.paths import STORE_DIR, file_path, store_name, tree_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.build.options import Built
    from cog_nix.build.services import Services
    from cog_nix.config.model import Project
    from cog_nix.lock.model import Lock
    from cog_nix.store.nix import Nix

_OWN = frozenset({"source", LARGE, CROWDED})
"""Layers of the project's own files: others have these files, or should not."""


def shareable(project: Project, built: Built, nix: Nix, *, downloads: bool) -> list[str]:
    """Return what of an image others can take: its layers, with their fragments, and the builders' Python.

    Args:
        project: whose.
        built: the image; with an OCI layout, the compressed layers as well.
        nix: whose store it is in.
        downloads: whether the files that the lock names belong to it.
    """
    lock = _lock(project)
    found = [_seed(lock)]
    parts = (part for layer in built.image.layers if layer.name not in _OWN for part in layer.parts)
    found += [f"{STORE_DIR}/{part.path.split('/')[3]}" for part in parts]
    if built.oci:
        found += [f"{STORE_DIR}/{name}" for name in _blobs(built.oci)]
    if downloads:
        found += [file_path(one.sha256, store_name(one.filename)) for one in built_from(lock)]
    found = list(dict.fromkeys(found))
    gone = set(nix.invalid(found))
    return [path for path in found if path not in gone]


def wanted(project: Project, services: Services, nix: Nix) -> list[str]:
    """Return what a project would take from others; nothing is built to find that out.

    Args:
        project: with its lock.
        services: narration.
        nix: evaluates.

    Raises:
        LockError: there is no lock.
        NixError: it cannot be evaluated.
    """
    lock = _lock(project)
    config = load(project, services.plugins, services.reporter)[0].config
    tag = config.image or config.model or default_tag(project.root.name)
    arguments = nix_arguments(project, config, {}, tag, "", included=selected(project, config))
    layers = (key for key in keys_of(nix, arguments).layers if key.partition("-")[2] not in _OWN)
    results = (tree_path(run.nar_sha256, STORE_NAME) for run in lock.runs)
    return [_seed(lock), *results, *(f"{STORE_DIR}/{key}" for key in layers)]


def _lock(project: Project) -> Lock:
    lock = lock_format.read(project.lock_path, project.platform)
    if lock is None:
        raise NotALockError(project.lock_path.name, "is missing", hint="Run: cog-nix lock")
    return lock


def _seed(lock: Lock) -> str:
    return tree_path(lock.seed.nar_sha256, seed.store_name(lock.seed.python))


def _blobs(layout: Path) -> Iterator[str]:
    """Yield the names of the store paths that a layout's blobs lie in."""
    for path in (layout / "blobs/sha256").iterdir():
        if path.is_symlink():
            yield path.readlink().parts[-2]
