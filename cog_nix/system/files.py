"""Writing files so that a cut leaves the old or the new, never half."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO


class UnwritableError(CogNixError):
    """A file or folder cannot be written."""

    def __init__(self, path: Path, error: OSError, *, hint: str = "") -> None:
        super().__init__(hint=hint or "Free some space or fix the permissions, then run again.")
        self.path, self.errno, self.reason = path, error.errno, error.strerror

    def __str__(self) -> str:
        return f"Cannot write {self.path}: {self.reason}."


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Yield a new file, which is flushed to the disk and takes the place of ``path`` when nothing goes wrong.

    Raises:
        OSError: the folder is not writable or the disk is full; ``path`` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch.beside(path) as new:
        # Nobody else's before it is complete, as it may hold a secret.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), mode)
        new.replace(path)


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write ``data`` to a file that takes the place of ``path``.

    Raises:
        UnwritableError: the folder is not writable or the disk is full; ``path`` is as it was.
    """
    try:
        with replacing(path, mode) as stream:
            stream.write(data)
    except OSError as error:
        raise UnwritableError(path, error) from error


def link_atomically(target: Path, link: Path, folder: Path | None = None) -> None:
    """Make a symbolic link, or turn one that is there to another target, in one step.

    Args:
        target: what it leads to.
        link: the link.
        folder: where it is made, on the same file system, before it is renamed; None: beside ``link``.

    Raises:
        UnwritableError: the folder is not writable or the disk is full; ``link`` is as it was.
    """
    try:
        with scratch.beside(folder / link.name if folder else link) as new:
            new.symlink_to(target)
            new.replace(link)
    except OSError as error:
        raise UnwritableError(link, error) from error
