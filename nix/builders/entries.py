"""Files of a system as the entries of a fragment."""

from __future__ import annotations

import stat
import tarfile
from typing import TYPE_CHECKING

import archive
from ownership import SPECIAL, Change

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    import deb


def order(path: str) -> list[str]:
    """Return what paths are sorted by in archives: a folder comes before what is in it."""
    return path.split("/")


def above(path: str) -> list[str]:
    """Return the folders that a path lies in, the outermost first."""
    return [path[:at] for at, character in enumerate(path) if character == "/"]


def from_file(
    source: Path, path: str, info: os.stat_result, known: deb.Attributes, change: Change
) -> archive.Entry | None:
    """Return the entry of a file, a folder or a link.

    Sockets, pipes and devices have none: they belong to programs that have ended.

    Args:
        source: where it is.
        path: where it is in the image.
        info: what lstat(2) says of it.
        known: owner and mode that it had.
        change: what was asked for since.
    """
    uid = known.uid if change.uid is None else change.uid
    gid = known.gid if change.gid is None else change.gid
    mode = known.mode if change.special is None else known.mode & ~SPECIAL | change.special
    if stat.S_ISDIR(info.st_mode):
        return archive.Entry(path, mode, tarfile.DIRTYPE, uid=uid, gid=gid)
    if stat.S_ISLNK(info.st_mode):
        return archive.Entry(path, 0o777, tarfile.SYMTYPE, target=str(source.readlink()), uid=uid, gid=gid)
    if not stat.S_ISREG(info.st_mode):
        return None
    if not info.st_mode & stat.S_IRUSR:
        source.chmod(0o600)  # to be read by the build's user; the archive says the real mode
    capability = change.capability or ""
    return archive.Entry(path, mode, source=source, uid=uid, gid=gid, capability=capability)


def hard_linked(entries: Iterable[archive.Entry]) -> list[archive.Entry]:
    """Turn all but the first of files that are one and the same into hard links, in an archive's order."""
    found: list[archive.Entry] = []
    first: dict[int, str] = {}
    for entry in sorted(entries, key=lambda entry: order(entry.path)):
        info = entry.source.lstat() if entry.source else None
        if info is None or info.st_nlink == 1 or first.setdefault(info.st_ino, entry.path) == entry.path:
            found.append(entry)
        else:
            found.append(entry._replace(kind=tarfile.LNKTYPE, source=None, target=first[info.st_ino]))
    return found


def whiteouts(gone: AbstractSet[str]) -> list[archive.Entry]:
    """Return entries that hide files of lower layers (OCI image-spec, "Whiteouts"), each at its top."""
    tops = [path.rpartition("/") for path in gone if path.rpartition("/")[0] not in gone]
    return [archive.Entry(f"{folder}{slash}.wh.{name}", 0o644) for folder, slash, name in tops]


def with_parents(
    entries: Iterable[archive.Entry], entry_of: Callable[[str], archive.Entry | None]
) -> list[archive.Entry]:
    """Add the folders above the entries that are not among them, with their real attributes."""
    found = {entry.path: entry for entry in entries}
    for path in list(found):
        for folder in above(path):
            if folder not in found and (entry := entry_of(folder)) is not None:
                found[folder] = entry
    return list(found.values())


def below(folders: Iterable[archive.Entry], entries: list[archive.Entry]) -> list[archive.Entry]:
    """Return the entries and those of the folders that they lie in."""
    tops = {folder for entry in entries for folder in above(entry.path)}
    return [*entries, *(folder for folder in folders if folder.path in tops)]
