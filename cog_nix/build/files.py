"""Files from the store of weights: those of managed weights, and those that cog-nix.toml names by URL."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cog_nix.errors import ConfigError, FlagError
from cog_nix.lock import format as lock_format
from cog_nix.lock.upgrade import Upgrade
from cog_nix.weights import lock as weights_lock

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from cog_nix.config.model import Config, Project
    from cog_nix.lock.model import Lock, ReferencedFile
    from cog_nix.report import Reporter
    from cog_nix.resolve.request import Request
    from cog_nix.store.nix import Nix


_SOURCE = "/src"
"""Where the project is in an image."""


class TakenPlaceError(ConfigError):
    """The project has a file where one of its weights goes in the image.

    Args:
        path: in the image.
    """

    def __init__(self, path: PurePosixPath) -> None:
        name = path.relative_to(_SOURCE)
        super().__init__(hint=f"Add {name} to .dockerignore, or remove it.")
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} would be in the image twice: as a file of weights, and as one of the project"


class LeftOutError(ConfigError):
    """A file by reference has its place where the image takes nothing from.

    Args:
        path: in the project.
    """

    def __init__(self, path: str) -> None:
        super().__init__(hint="Let .dockerignore have it, or give it an absolute path in cog-nix.toml.")
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}, which cog-nix.toml has by its URL, would not be in the image: it is ignored"


def with_files(
    request: Request,
    lock: Lock,
    reporter: Reporter,
    *,
    offline: bool = False,
    nix: Nix | None = None,
    upgrade: Upgrade | None = None,
) -> Lock:
    """Have the files in their places; return the lock with what they are, which is written.

    Args:
        request: names them.
        lock: what they were.
        reporter: shows downloads.
        offline: whether nothing may be fetched.
        nix: a store that shall hold those that go into the image from there; None: nothing is built.
        upgrade: those that may be others than they were.

    Raises:
        CogNixError: one cannot be had, or is another one than it was.
    """
    wanted = request.settings.weights.files
    if not wanted and not lock.files:
        return lock
    from cog_nix.managed import referenced, source  # noqa: PLC0415 - few projects have such files
    from cog_nix.weights.store import default_store  # noqa: PLC0415 - as above

    project, store = request.project, default_store()
    around = source.Surroundings(store, reporter, os.environ)
    may_move = upgrade or Upgrade()
    moving = [file.path for file in lock.files if not may_move.keeps(file.path)]
    files = referenced.ensure(project, wanted, lock.files, around, offline=offline, moving=moving)
    if nix and (missing := nix.missing_artifacts(referenced.in_the_image(files))):
        nix.add_artifacts([(one, store.path(f"sha256:{one.sha256}")) for one in missing])
    if files == lock.files:
        return lock
    lock = replace(lock, files=files)
    lock_format.write(lock, project.lock_path)
    return lock


def weights_of(project: Project, config: Config, *, inside: bool) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the files of managed weights that go into the image, and what is said of those that do not.

    Raises:
        CogNixError: there are none that could go into it, or their files are not here.
    """
    return (placed_weights(project, config), []) if inside else ([], missing_weights(config))


def placed_weights(project: Project, config: Config) -> list[dict[str, Any]]:
    """Return the files of managed weights as ``nix/layers/files.nix`` takes them.

    Raises:
        ConfigError: there are no weights, or weights.lock does not fit cog.yaml.
        MissingWeightsError: files of them are not here.
    """
    weights = weights_lock.of_config(project.root, config)
    if not weights:
        raise FlagError("--weights", "there are no weights in cog.yaml", "inside", hint="Leave it out.")
    from cog_nix.weights import mounts, store  # noqa: PLC0415 - few models have managed weights

    kept = store.default_store()
    mounts.require(weights, kept)
    return [
        {
            "file": str(kept.path(file.digest)),
            "sha256": file.digest.removeprefix("sha256:"),
            "size": file.size,
            "to": f"{weight.target}/{file.path}",
        }
        for weight in weights
        for file in weight.files
    ]


def check_places(
    placed: Sequence[dict[str, Any]], files: Sequence[ReferencedFile], included: Collection[str]
) -> None:
    """Refuse files of weights where the project has some of its own in the image, or has nothing in it.

    Raises:
        TakenPlaceError: there is one.
        LeftOutError: one would not be in the image.
    """
    for one in files:
        if not one.mount and not one.path.startswith("/") and one.path not in included:
            raise LeftOutError(one.path)
    places = [one["to"] for one in placed]
    places += [one.path for one in files if not one.mount and one.path.startswith("/")]
    for place in sorted(map(PurePosixPath, places)):
        if place.is_relative_to(_SOURCE) and str(place.relative_to(_SOURCE)) in included:
            raise TakenPlaceError(place)


def missing_weights(config: Config) -> list[str]:
    """Return a warning for each weight whose files are not in the image."""
    return [
        f"the files of weight {weight.name} are not in the image: run, train, serve and exec mount them at "
        f"{weight.target}, and so does whoever runs it elsewhere (`--weights inside` puts them into it)"
        for weight in config.weights
    ]
