"""The newest Release file of a suite that this machine has seen.

A signature says who made a Release file, not that it is today's: an older one, put in its place, would keep
updates back until its Valid-Until, and those of a suite without that for ever. As apt does, an older one is
passed over for the one that was seen before; mirrors behind one name are not always in step.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .release import Release


def place(url: str, cache_dir: Path) -> Path:
    """Return where the newest Release file from a URL is kept."""
    return cache_dir / "debian" / "releases" / hashlib.sha256(url.encode()).hexdigest()


def newest(
    url: str, data: bytes, read: Callable[[bytes], Release], cache_dir: Path
) -> tuple[Release, Release | None]:
    """Return what came; or what was seen before where that is newer, and what came.

    Those of this machine's own files are not kept: whoever can change one needs no older one.

    Args:
        url: where it came from.
        data: what came.
        read: verifies a Release file.
        cache_dir: of the user.

    Raises:
        LockError: what came is refused.
        CogNixError: the cache cannot be written.
    """
    came = read(data)
    if url.startswith("file:"):
        return came, None
    path = place(url, cache_dir)
    held = path.read_bytes() if path.is_file() else b""
    if held == data:
        return came, None
    # What is held may be damaged, or signed by a key that is trusted no more.
    with suppress(LockError):
        if held and (seen := read(held)).date > came.date:
            return seen, came
    write_atomically(path, data)
    return came, None
