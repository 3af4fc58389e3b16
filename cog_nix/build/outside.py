"""What of a project stays out of the Nix store, described for it: large files, and crowds of small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.build import unchanged
from cog_nix.build.nix_arguments import read_in_builds
from cog_nix.project.large import groups, statuses

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cog_nix.build.services import Services
    from cog_nix.config.model import Config, Project
    from cog_nix.project.large import Group


def outside_of_store(
    project: Project, config: Config, included: Iterable[str], services: Services, *, budget: int
) -> list[tuple[Group, Path]]:
    """Return what stays outside, from the bottom of the image to the top, and a folder that describes each.

    Args:
        project: whose.
        config: names files that builds read; these go into the store.
        included: what is taken of it.
        services: its cache knows what was hashed before.
        budget: layers that the rest of the image may have.

    Raises:
        UnreadableFileError: a file cannot be read.
        FileChangedError: one changes while it is.
    """
    began = unchanged.clock(str(project.state_dir))
    known = statuses(project.root, included)
    found = groups(known, frozenset(read_in_builds(project, config)), budget=budget)
    if not found:
        return []
    from cog_nix.image.file_layers import Hashing  # noqa: PLC0415 - most projects have no such files

    device = project.state_dir.stat().st_dev if began is not None else 0
    hashing = Hashing(project.root, services.cache, began, device, services.reporter)
    return list(zip(found, hashing.layers(found, known), strict=True))
