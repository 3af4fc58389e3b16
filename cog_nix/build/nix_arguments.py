"""What a build hands to ``nix/build.nix``: the project's files, and what is said of the image."""

from __future__ import annotations

import os
import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cog_nix.config.python_project import files as python_files
from cog_nix.config.python_project import is_project
from cog_nix.errors import ConfigError
from cog_nix.image.description import name_in_store, with_tag
from cog_nix.project.ignore import Ignore
from cog_nix.project.large import CROWDED, LEAST
from cog_nix.store.library import package_folder
from cog_nix.system import certificate, platforms
from cog_nix.weights import lock as weights_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Config, ImageSettings, Project
    from cog_nix.project.large import Group


def nix_arguments(
    project: Project,
    config: Config,
    labels: Mapping[str, str],
    tag: str,
    openapi: str,
    *,
    included: Mapping[str, int],
    outside: Sequence[tuple[Group, Path]] = (),
    placed: Sequence[dict[str, Any]] = (),
    image: ImageSettings | None = None,
    sources: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the arguments of ``nix/build.nix``.

    Args:
        project: whose.
        config: what it says.
        labels: of the image, as far as they are known.
        tag: its name.
        openapi: a document that was handed in; "": none was.
        included: what is taken of the project (:func:`selected`).
        outside: what stays out of the store, and the folder that describes it.
        placed: files that go somewhere in the image; of these, large ones are outside.
        image: what cog-nix.toml says of it; None: nothing.
        sources: references of flakes whose sources are in the store, by the lock's names; None: of none.
    """
    small = [one for one in placed if one["size"] < LEAST]
    return {
        "lock": str(project.lock_path),
        "project": str(project.root),
        "name": name_in_store(tag),
        "tag": with_tag(tag),
        "config": project.config_path.relative_to(project.root).as_posix(),
        "configured": _with_parents(_configured_by(project, config)),
        "included": _inside(included, [group for group, _ in outside]),
        **({"weights": [{"name": one.name, "path": str(path)} for one, path in outside]} if outside else {}),
        **({"placed": small} if small else {}),
        **({"user": image.user} if image and image.user else {}),
        **({"owner": list(image.owner)} if image and image.owner else {}),
        **({"sources": dict(sources)} if sources else {}),
        "core": str(package_folder()),
        "labels": dict(labels),
        "openapi": openapi,
        "certificate": certificate.read(os.environ),
        "environment": [list(pair) for pair in config.environment],
        **platforms.nix_arguments(project.platform),
    }


def _inside(included: Mapping[str, int], outside: Sequence[Group]) -> dict[str, int]:
    """Return what Nix is to look at: nothing that stays outside, nor folders that have nothing else."""
    apart = {path for group in outside for path in group.files}
    crowded = {folder for group in outside if group.name == CROWDED for folder in group.folders}
    left = [path for path in included if path not in apart]
    if not crowded:
        return dict.fromkeys(left, 1)
    needed = {str(above) for path in left if path not in crowded for above in PurePosixPath(path).parents}
    return {path: 1 for path in left if path not in crowded or path in needed}


def selected(
    project: Project,
    config: Config,
    walked: Callable[[Mapping[str, Sequence[str]], Iterable[str]], None] | None = None,
) -> dict[str, int]:
    """Return the files and folders that the build sees: the image's, and those that it only reads.

    Args:
        project: whose.
        config: names some.
        walked: is told what the walk through the project saw: the names in each folder, and the files.

    Raises:
        ConfigError: the name of one of them is no text.
    """
    ignore = Ignore.load(project.root)
    taken = dict.fromkeys(map(_text, ignore.walk()), 1)
    if walked:
        walked(ignore.entered, tuple(taken))
    return taken | _with_parents(read_in_builds(project, config))


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


def read_in_builds(project: Project, config: Config) -> list[str]:
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
