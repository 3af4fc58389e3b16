"""What a container gets of weights: folders of hard links into the store, or file by file without such links.

The folders stand beside the store, so they are on its file system whatever the project is on.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from cog_nix.errors import RuntimeFailure
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cog_nix.weights.model import LockedFile, LockedWeight
    from cog_nix.weights.store import WeightsStore

Mounts = tuple[tuple["Path", str], ...]
"""``(host path, container path)``, to be mounted to read only."""


class MissingWeightsError(RuntimeFailure):
    """The store lacks files of weights.

    Args:
        missing: the files that it lacks, by the name of their weight.
    """

    def __init__(self, missing: dict[str, list[LockedFile]]) -> None:
        super().__init__(hint="Run `cog-nix weights pull`.")
        self.missing = missing

    def __str__(self) -> str:
        return "\n".join(
            f'weight "{name}" is not fully cached locally (missing {files[0].path}'
            + (f" and {len(files) - 1} more)" if len(files) > 1 else ")")
            for name, files in self.missing.items()
        )


def missing(weights: Sequence[LockedWeight], store: WeightsStore) -> dict[str, list[LockedFile]]:
    """Return the files that a store lacks, by the name of their weight, where it lacks any."""
    found = {
        weight.name: [file for file in weight.files if not store.held(file.digest, file.size)]
        for weight in weights
    }
    return {name: files for name, files in found.items() if files}


def require(weights: Sequence[LockedWeight], store: WeightsStore) -> None:
    """Refuse to go on without all files of weights.

    Raises:
        MissingWeightsError: the store lacks some.
    """
    if lacking := missing(weights, store):
        raise MissingWeightsError(lacking)


@contextmanager
def mounted(weights: Sequence[LockedWeight], store: WeightsStore, files: Mounts = ()) -> Iterator[Mounts]:
    """Make what containers mount of weights; remove it afterwards.

    Args:
        weights: whose files are mounted.
        store: has them.
        files: what is mounted besides.

    Raises:
        MissingWeightsError: the store lacks files; nothing is fetched.
    """
    require(weights, store)
    with ExitStack() as stack:
        folders = [one for weight in weights for one in _mounts(weight, store, stack)]
        yield (*folders, *files)


def _mounts(weight: LockedWeight, store: WeightsStore, stack: ExitStack) -> Mounts:
    with suppress(OSError), ExitStack() as attempt:
        parent = store.root / "mounts"
        parent.mkdir(parents=True, exist_ok=True)
        folder = attempt.enter_context(scratch.folder("weights", parent, 0o755))
        _link(weight, store, folder)
        stack.push(attempt.pop_all())
        return ((folder, weight.target),)
    # The store is another user's, cannot be written to, or is on a file system without hard links.
    return tuple((store.path(file.digest), f"{weight.target}/{file.path}") for file in weight.files)


def _link(weight: LockedWeight, store: WeightsStore, folder: Path) -> None:
    for file in weight.files:
        place = folder / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(store.path(file.digest), place)
