"""What stays out of the Nix store, described for it: large files, and a project's crowds of small ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.build import unchanged
from cog_nix.build.nix_arguments import read_in_builds
from cog_nix.image.project_files import Held
from cog_nix.project.large import LEAST, groups, layers_in_store, statuses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Any

    from cog_nix.build.services import Services
    from cog_nix.lock.model import Lock
    from cog_nix.project.large import Group
    from cog_nix.resolve.request import Request


def outside_of_store(
    request: Request,
    lock: Lock,
    included: Iterable[str],
    services: Services,
    placed: Sequence[dict[str, Any]] = (),
) -> list[tuple[Group, Path]]:
    """Return what stays outside, from the bottom of the image to the top, and a folder that describes each.

    Args:
        request: the project; files that its builds read go into the store.
        lock: names the other layers.
        included: what is taken of the project.
        services: its cache knows what was hashed before.
        placed: files from the store of weights, and where they go.

    Raises:
        UnreadableFileError: a file cannot be read.
        FileChangedError: one changes while it is.
        DamagedFileError: one of the store of weights is not what its name says.
    """
    project = request.project
    began = unchanged.clock(str(project.state_dir))
    known = statuses(project.root, included)
    held = {
        one["to"]: Held(one["file"], one["sha256"], one["size"]) for one in placed if one["size"] >= LEAST
    }
    read = frozenset(read_in_builds(project, request.config))
    found = groups(known, read, budget=_others(request, lock, placed), placed=held)
    if not found:
        return []
    from cog_nix.image.file_layers import Hashing  # noqa: PLC0415 - most projects have no such files

    device = project.state_dir.stat().st_dev if began is not None else 0
    hashing = Hashing(project.root, services.cache, began, device, services.reporter)
    return list(zip(found, hashing.layers(found, known, held), strict=True))


def _others(request: Request, lock: Lock, placed: Sequence[dict[str, Any]]) -> int:
    """Return how many layers an image may have besides those of what stays outside."""
    sizes = [one.size for one in lock.files if not one.mount and one.path.startswith("/")]
    sizes += [one["size"] for one in placed if one["size"] < LEAST]
    named = max(request.settings.layers.budget, len(lock.layers))
    return named + layers_in_store(sizes, len(lock.layers))
