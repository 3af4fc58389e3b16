"""How much room is left where commands write: which disk it is that is full."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.system.paths import cache_path
from cog_nix.system.scratch import temporary_path

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEGABYTE = 1_000_000


def told() -> list[str]:
    """Return a line for each file system that commands write to, the fullest first."""
    seen: dict[int, tuple[int, str]] = {}
    for path, purpose in _places():
        with suppress(OSError):
            device, status = os.stat(path).st_dev, os.statvfs(path)  # noqa: PTH116 - text
            seen.setdefault(
                device, (status.f_bavail * status.f_frsize, f"{path} ({purpose})")
            )  # the first of a file system names it
    return [f"{place} has {room / _MEGABYTE:.1f} MB left" for room, place in sorted(seen.values())]


def _places() -> Iterator[tuple[str, str]]:
    with suppress(OSError):
        yield temporary_path(), "temporary files"
    with suppress(OSError):
        yield os.getcwd(), "this folder"  # noqa: PTH109 - text
    with suppress(OSError, CogNixError):
        yield _there(cache_path()), "the cache"
    yield _there(os.environ.get("COG_NIX_STORE") or "/nix/store"), "the store"


def _there(path: str) -> str:
    """Return a folder, or the one above it that is there."""
    while not os.path.isdir(path) and path != "/":  # noqa: PTH112 - text
        path = os.path.dirname(path) or "/"  # noqa: PTH120 - text
    return path
