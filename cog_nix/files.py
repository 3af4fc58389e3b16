"""Writing files so that a cut leaves the old or the new, never half."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cog_nix.errors import CogNixError


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write ``data`` beside ``path``, flush it to the disk and rename it into place.

    Raises:
        CogNixError: the folder is not writable or the disk is full; ``path`` is as it was.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), mode)
        Path(temporary).replace(path)
    except OSError as error:
        raise CogNixError(
            f"Cannot write {path}: {error.strerror}.",
            hint="Free some space or mend the permissions, then run again.",
        ) from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def link_atomically(target: Path, link: Path) -> None:
    """Make a symbolic link, or turn one that is there to another target, in one step.

    Raises:
        CogNixError: the folder is not writable or the disk is full; ``link`` is as it was.
    """
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.replace(link)
    except OSError as error:
        raise CogNixError(
            f"Cannot write {link}: {error.strerror}.",
            hint="Free some space or mend the permissions, then run again.",
        ) from error
