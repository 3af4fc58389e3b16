"""Large files of a project in unpacked layers: never copied, however large.

Where the file system can share blocks (FICLONE, ioctl_ficlonerange(2): btrfs, XFS), a layer has a clone of
each. Elsewhere it has an empty file in its place, and a container is shown the project's own there, to read.
Which that is and its status are written down: when the file changes the image has lost it, and is not here
any more.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tarfile
from typing import TYPE_CHECKING, NamedTuple

from cog_nix.image.file_layers import MTIME
from cog_nix.image.project_files import FileChangedError
from cog_nix.namespaces import mounts_as_root
from cog_nix.project.large import LEAST
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import list_of, text_of
from cog_nix.system.status import Status, status

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.image.project_files import Located, Place

_CLONE = 0x40049409
"""``FICLONE`` (linux/fs.h)."""
_ROOT = "src"
"""Where the project is in an image."""


class BoundFile(NamedTuple):
    """A file that containers are shown where their layer has none."""

    source: str
    """On this machine."""
    target: str
    """Relative to the image's root."""
    status: Status
    """What the source has to be."""

    @property
    def is_there(self) -> bool:
        """Whether the file is what it was."""
        return status(self.source) == self.status


def fits(files: Located) -> bool:
    """Tell whether a layer's files can be had without a copy: many small ones had better be copied.

    A container's users see a bound file as it is: who is not its owner has to be able to read it.
    """
    return all(
        entry.size >= LEAST
        and place.status is not None
        and (not mounts_as_root() or bool(place.status[2] & stat.S_IROTH))
        for entry, place in files.files
    )


def lay_out(files: Located, folder: Path) -> list[BoundFile]:
    """Make a layer's folder; return what it cannot hold.

    Args:
        files: for which :func:`fits` is true.
        folder: empty.

    Raises:
        FileChangedError: one has changed.
        OSError: the folder cannot be written.
    """
    bound = []
    for entry, place in files.files:
        path = folder / _ROOT / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _cloned(place, path):
            bound.append(_bound(entry.path, place))
        os.utime(path, (MTIME, MTIME))
    with tarfile.open(files.folder / "directories.tar") as tar:
        for one in reversed(tar.getmembers()):
            (folder / one.name).mkdir(parents=True, exist_ok=True)
            (folder / one.name).chmod(one.mode)
            os.utime(folder / one.name, (MTIME, MTIME))
    return bound


def moved(files: Located, folder: Path) -> list[BoundFile]:
    """Return what a folder that is laid out does not hold, where it is now."""
    return [
        _bound(entry.path, place)
        for entry, place in files.files
        if not (folder / _ROOT / entry.path).stat().st_size
    ]


def _bound(path: str, place: Place) -> BoundFile:
    return BoundFile(place.path, f"{_ROOT}/{path}", place.status or [])


def _cloned(place: Place, path: Path) -> bool:
    """Make a file in place of another; return whether it has that one's blocks as well."""
    executable = bool(place.status and place.status[2] & stat.S_IXUSR)
    with path.open("xb") as new, open(place.path, "rb") as old:  # noqa: PTH123 - text
        os.fchmod(new.fileno(), 0o755 if executable else 0o644)
        try:
            fcntl.ioctl(new.fileno(), _CLONE, old.fileno())
        except OSError:
            return False
    if status(place.path) != place.status:
        raise FileChangedError(place.path)
    return True


def read(record: Path) -> list[BoundFile]:
    """Return what :func:`written` wrote; nothing where there is no record.

    Raises:
        ValueError: it is damaged.
    """
    try:
        data = jsonvalue.loads(record.read_bytes())
        return [
            BoundFile(text_of(source), text_of(target), list(map(int, list_of(found))))
            for source, target, found in list_of(data)
        ]
    except FileNotFoundError:
        return []
    except (TypeError, OverflowError) as error:  # the second: int() of 1e999
        raise ValueError(str(error)) from error


def written(bound: list[BoundFile]) -> bytes:
    """Return a record."""
    return json.dumps(bound).encode()
