"""The project's files that stay out of the store: large ones, weights above all, and crowds of small ones.

They are layers of their own, which no edit of the source touches (docs/design/large-files.md). Which file
belongs to which layer follows from its path and size and how many there are, so whoever builds a project gets
the same image.
"""

from __future__ import annotations

import hashlib
import stat
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from cog_nix.system.status import status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.system.status import Status

LEAST = 10 << 20
"""Bytes from which on a file is large: what upstream's ``--separate-weights`` goes by."""
MOST_LAYERS = 32
"""Layers of large files, where there is room for them."""
CROWD = 1000
"""Small files below a folder at the project's root from which on they are a layer."""
MOST_CROWDS = 8
MOST_PLACED = 16
"""Layers of large files that are put into an image from elsewhere."""
_DOCKERS = 127
"""Layers that Docker takes."""
_SPARE = 5
"""Of those: the project's own, what an overlay adds, and images that are built on top."""
LARGE, CROWDED = "weights", "files"
"""Names of the layers."""
_CODE = ".py"
"""What is read to find out about a model, and what is edited."""


class Group(NamedTuple):
    """Files of a project that are one layer."""

    name: str
    """The layer's."""
    files: tuple[str, ...]
    """Relative to the project, in the order in which they stand in the layer; those that are not the
    project's are absolute in the image."""
    folders: tuple[str, ...]
    """Those that are in it: all above these files; in a crowd empty ones as well."""


def statuses(root: Path, paths: Iterable[str]) -> dict[str, Status]:
    """Return the status of each path, relative to the project, that is there."""
    found = {path: status(f"{root}/{path}") for path in paths}
    # One that went while we looked is told of by whoever reads it.
    return {path: one for path, one in found.items() if one}


def groups(
    found: Mapping[str, Status],
    read: Collection[str] = (),
    *,
    budget: int = 60,
    placed: Collection[str] = (),
) -> list[Group]:
    """Return what stays out of the store, from the bottom of the image to the top.

    Args:
        found: what is taken of the project, folders included, relative to it.
        read: those that a build reads; they stay where it sees them.
        budget: layers that the rest of the image may have (``layers.budget`` of cog-nix.toml).
        placed: large files from elsewhere, absolute in the image.
    """
    room = _DOCKERS - _SPARE - budget
    held = _large(placed, max(min(MOST_PLACED, room // 2), 1))
    room = max(room - len(held), 1)
    most_crowds = min(MOST_CROWDS, room // 4)
    modes = {path: one[2] for path, one in found.items() if path not in read}
    large = [path for path, mode in modes.items() if is_large(mode, found[path][3])]
    crowds = _crowds(modes, set(large), most_crowds)
    return [*held, *_large(large, min(MOST_LAYERS, room - most_crowds)), *crowds]


def layers_in_store(sizes: Sequence[int], others: int) -> int:
    """Return how many layers ``nix/layers/files.nix`` makes of files that the store has.

    Args:
        sizes: of the files, bytes.
        others: layers that the lock names.
    """
    large = sum(size >= LEAST for size in sizes)
    most = max(min(MOST_PLACED, (_DOCKERS - _SPARE - others) // 2 - 1), 1)
    return min(large, most) + (large < len(sizes))


def is_large(mode: int, size: int) -> bool:
    """Tell whether a file of this mode and size (bytes) is one."""
    return stat.S_ISREG(mode) and size >= LEAST


def _large(paths: Collection[str], most: int) -> list[Group]:
    """Return a layer for each large file; where these are too many, their paths decide which share one."""
    shared: dict[int, list[str]] = defaultdict(list)
    for number, path in enumerate(_ordered(paths)):
        shared[number if len(paths) <= most else _bucket(path, most)].append(path)
    return [Group(LARGE, tuple(files), _above(files)) for _, files in sorted(shared.items())]


def _bucket(path: str, most: int) -> int:
    """Return a number that another file's coming or going does not change."""
    return hashlib.sha256(path.encode()).digest()[0] % most


def _crowds(modes: Mapping[str, int], large: Collection[str], most: int) -> list[Group]:
    """Return a layer for each folder at the root with very many files, or for the fullest of these."""
    below: dict[str, list[str]] = defaultdict(list)
    folders: dict[str, list[str]] = defaultdict(list)
    for path, mode in modes.items():
        top, slash, _ = path.partition("/")
        if stat.S_ISDIR(mode):
            folders[top].append(path)
        elif slash and stat.S_ISREG(mode) and path not in large and not path.endswith(_CODE):
            below[top].append(path)
    crowded = sorted(sorted(below), key=lambda top: -len(below[top]))[:most]
    return [
        Group(CROWDED, _ordered(below[top]), _ordered(folders[top]))
        for top in sorted(crowded)
        if len(below[top]) >= CROWD
    ]


def _above(paths: Iterable[str]) -> tuple[str, ...]:
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents} - {".", "/"}
    return _ordered(folders)


def _ordered(paths: Iterable[str]) -> tuple[str, ...]:
    """Return paths as they stand in a tar: folder by folder (``nix/builders/archive.py``)."""
    return tuple(sorted(paths, key=lambda path: path.split("/")))
