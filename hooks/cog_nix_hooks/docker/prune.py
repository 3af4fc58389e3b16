"""Removes the image that lost its name to the one that was loaded, as ``docker image prune`` would.

Only that one, and only where it is cog-nix's own and nothing else wants it. Docker removes no image that a
container uses; such a one is written down and tried again after the next load.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically
from cog_nix.system.paths import cache_dir
from cog_nix_hooks.docker.failures import DaemonError
from cog_nix_hooks.docker.images import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cog_nix_hooks.docker.images import ImageInfo, Images

_CREATED = "1970-01-01T00:00:00Z"
"""When images of cog-nix are made. One that Docker built on top has its labels, and a time of its own."""
_REMEMBERED = 20
"""At most so many are tried again, for each daemon."""


def remove_replaced(images: Images, previous: Iterable[ImageInfo | None], now: str) -> None:
    """Remove images that have no name any more.

    Args:
        images: those of the daemon, by whose address what cannot be removed yet is remembered.
        previous: what the names that were given now stood for before.
        now: id of the image that they stand for now.
    """
    path, host = cache_dir() / "superseded.json", images.host
    known = _read(path)
    waiting = known.get(host, [])
    ids = dict.fromkeys([*waiting, *(image.id for image in previous if image and _is_ours(image))])
    left = [one for one in ids if one != now and not _remove(images, one)][-_REMEMBERED:]
    if left != waiting:
        others = {other: held for other, held in known.items() if other != host}
        with suppress(CogNixError):  # what is lost is some cleanup
            write_atomically(path, json.dumps({**others, **({host: left} if left else {})}).encode())


def _remove(images: Images, image_id: str) -> bool:
    """Return whether there is nothing left to do."""
    with suppress(DaemonError):
        image = images.find(image_id)
        # A digest of a registry, in Docker's own store, says that it was pushed.
        if image and _is_ours(image) and not image.names and not image.digests:
            images.remove(image_id)
        return True
    return False


def _is_ours(image: ImageInfo) -> bool:
    return LABEL in image.labels and image.created == _CREATED


def _read(path: Path) -> dict[str, list[str]]:
    try:
        found = jsonvalue.loads(path.read_text())
        return {str(host): list(map(str, ids)) for host, ids in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
