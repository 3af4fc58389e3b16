"""Folders that containers are made in: each has an owner, and what a killed owner left goes.

An owner holds a lock in its folder (flock(2)), which the kernel takes back however it ends. Its container
ends with it (:class:`cog_nix_hooks.bundle.rootfs.Isolation`), and with that all mounts. The folder stays with
what the container wrote, and a cgroup where the engine made one: the next container's start removes both.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from cog_nix_hooks.bundle import cgroups
from cog_nix_hooks.bundle.layers import lock, private, remove

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK = "owner.lock"
_MAKING = "containers.making.lock"
_OURS = "cog-nix-"
"""Begins the name of each container, and with that of its folder."""
_LEFT = ".left-"
"""Begins the name of a folder that has no owner any more."""


def new_name(kind: str = "") -> str:
    """Return a name for a container of this process; ``kind`` is a word in it."""
    return f"{_OURS}{kind and f'{kind}-'}{os.getpid()}-{secrets.token_hex(4)}"


@contextmanager
def owned(containers: Path, name: str) -> Iterator[Path]:
    """Make a container's folder and remove it afterwards; remove what others left."""
    with ExitStack() as stack:
        private(containers)
        # A folder without a lock is no owner's: nobody may look between the making of the two.
        with lock(containers.parent / _MAKING, fcntl.LOCK_EX):
            for left in [*filter(_is_ownerless, containers.iterdir())]:
                with suppress(OSError):
                    left.rename(containers / f"{_LEFT}{left.name}")
            folder = containers / name
            private(folder)
            stack.callback(_discard, folder)
            stack.enter_context(lock(folder / _LOCK, fcntl.LOCK_EX))
        for left in containers.glob(f"{_LEFT}*"):
            _discard(left)
        yield folder


def _is_ownerless(folder: Path) -> bool:
    if not folder.name.startswith(_OURS):
        return False
    if not (folder / _LOCK).exists():
        return True
    with lock(folder / _LOCK, fcntl.LOCK_EX, wait=False) as ownerless:
        return ownerless


def _discard(folder: Path) -> None:
    """Remove a folder; it stays, for the next start to try again, while a cgroup cannot be removed."""
    if cgroups.remove(folder) and folder.exists():
        remove(folder)
