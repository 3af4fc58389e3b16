"""Images whose files stay in a project, made as a build makes them but without Nix."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.image.file_layers import Hashing
from cog_nix.project.large import Group, statuses
from cog_nix.report import SilentReporter
from tests.hooks.docker.described import DescribedStore

if TYPE_CHECKING:
    from typing import Any

    from cog_nix.image.description import ImageDescription

LATER = sys.maxsize
"""A time at which no file has changed just before."""


def group(root: Path, name: str = "weights") -> Group:
    """Return all that is in a folder as one layer."""
    found = (path.relative_to(root).as_posix() for path in root.rglob("*"))
    paths = sorted(found, key=lambda one: one.split("/"))
    folders = tuple(path for path in paths if (root / path).is_dir())
    return Group(name, tuple(path for path in paths if path not in folders), folders)


def hashing(root: Path, began: int | None = LATER) -> Hashing:
    """Return what describes layers of a folder; what is known is kept in ``COG_NIX_CACHE_DIR``."""
    cache = Path(os.environ["COG_NIX_CACHE_DIR"])
    return Hashing(root, cache, began, root.stat().st_dev, SilentReporter())


def layers(root: Path, name: str = "weights", began: int | None = LATER) -> list[Path]:
    """Return a folder that describes all that is in another as one layer."""
    found = group(root, name)
    return hashing(root, began).layers([found], statuses(root, found.files))


def described(
    root: Path, store: Path, name: str = "weights", below: tuple[dict[str, bytes], ...] = (), **config: Any
) -> ImageDescription:
    """Return an image of all that is in a folder, as one layer above others."""
    (folder,) = layers(root, name)
    return DescribedStore(store).build(*below, folder, **config)
