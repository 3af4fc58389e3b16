"""Writing files so that a cut leaves the old or the new, never half."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.system import scratch

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write ``data`` beside ``path``, flush it to the disk and rename it into place.

    Raises:
        CogNixError: the folder is not writable or the disk is full; ``path`` is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.beside(path) as new:
            with new.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
                os.fchmod(stream.fileno(), mode)
            new.replace(path)
    except OSError as error:
        raise CogNixError(
            f"Cannot write {path}: {error.strerror}.",
            hint="Free some space or fix the permissions, then run again.",
        ) from error


def link_atomically(target: Path, link: Path) -> None:
    """Make a symbolic link, or turn one that is there to another target, in one step.

    Raises:
        CogNixError: the folder is not writable or the disk is full; ``link`` is as it was.
    """
    try:
        with scratch.beside(link) as new:
            new.symlink_to(target)
            new.replace(link)
    except OSError as error:
        raise CogNixError(
            f"Cannot write {link}: {error.strerror}.",
            hint="Free some space or fix the permissions, then run again.",
        ) from error
