"""What changed in a file system, as the entries of a layer."""

from __future__ import annotations

import stat
import tarfile
from typing import TYPE_CHECKING

import archive
import tidy
from ownership import SPECIAL, Ownership

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    import unpack
    from listing import Times


class Changes:
    """Turns paths into entries, with the attributes that the image's files have.

    Args:
        root: the file system after the command.
        lower: all that the command found: packages of the build as well.
        image: what of that the image has.
        asked: owners and special bits that the command asked for.
    """

    def __init__(
        self, root: Path, lower: unpack.View, image: unpack.View, asked: Ownership | None = None
    ) -> None:
        self._root, self._lower, self._image = root, lower, image
        self._asked = asked or Ownership()
        self._entries: dict[str, archive.Entry] = {}

    def add(self, paths: Iterable[str], *, always: bool = False) -> None:
        """Take what is at some paths; a file that the image has already, bit for bit, only ``always``."""
        for path in sorted(paths, key=lambda path: path.split("/")):
            entry = self._entry(path)
            if entry is None:
                continue
            if always or not self._same(entry):
                self._entries[path] = entry

    def replace(self, path: str, data: bytes) -> None:
        """Give a file other contents than it has."""
        entry = archive.Entry(path, 0o644, data=data)
        self._entries.pop(path, None)
        if path not in self._image.files or self._data(path) != data:
            self._entries[path] = entry

    def __contains__(self, path: str) -> bool:
        """Say whether the image has something at a path, before the command or from it."""
        return path in self._entries or path in self._image

    def remove(self, paths: AbstractSet[str]) -> None:
        """Hide files that the image has (OCI image-spec, "Whiteouts")."""
        gone = {path for path in paths if path in self._image}
        for path in sorted(gone):
            folder, slash, name = path.rpartition("/")
            if folder not in gone:
                whiteout = f"{folder}{slash}.wh.{name}"
                self._entries[whiteout] = archive.Entry(whiteout, 0o644)

    def entries(self) -> list[archive.Entry]:
        """Return everything, with the folders above it."""
        found = dict(self._entries)
        for path in list(found):
            parts = path.split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                if folder not in found and (entry := self._entry(folder)) is not None:
                    found[folder] = entry
        return _linked(found.values())

    def sources(self) -> Iterator[tuple[str, Path]]:
        """Yield the path of every regular file taken, and where its bytes are."""
        for path, entry in self._entries.items():
            if entry.source is not None:
                yield path, entry.source

    def _entry(self, path: str) -> archive.Entry | None:
        source = self._root / path
        try:
            info = source.lstat()
        except FileNotFoundError:
            return None
        mode, uid, gid = self._attributes(path, stat.S_IMODE(info.st_mode))
        change = self._asked.of(source, info.st_ino)
        uid = uid if change.uid is None else change.uid
        gid = gid if change.gid is None else change.gid
        mode = mode if change.special is None else mode & ~SPECIAL | change.special
        if stat.S_ISDIR(info.st_mode):
            return archive.Entry(path, mode, tarfile.DIRTYPE, uid=uid, gid=gid)
        if stat.S_ISLNK(info.st_mode):
            return archive.Entry(
                path, 0o777, tarfile.SYMTYPE, target=str(source.readlink()), uid=uid, gid=gid
            )
        if not stat.S_ISREG(info.st_mode):
            return None  # sockets and pipes belong to programs that have ended
        if not info.st_mode & 0o400:
            source.chmod(0o600)  # the archive says the real mode
        capability = change.capability or ""
        return archive.Entry(path, mode, source=source, uid=uid, gid=gid, capability=capability)

    def _attributes(self, path: str, mode: int) -> tuple[int, int, int]:
        """Return mode and owner: those of the lower file, as long as the command left its mode alone."""
        folder = self._lower.folders.get(path)
        if folder is not None:
            same = mode == folder.mode & 0o1777 | 0o700
            return (folder.mode if same else mode), folder.uid, folder.gid
        if path not in self._lower.files:
            return mode, 0, 0
        known = self._lower.entry(path)
        same = mode == known.mode & 0o777 | 0o200
        return (known.mode if same else mode), known.uid, known.gid

    def _same(self, entry: archive.Entry) -> bool:
        """Say whether the image has exactly this already."""
        if entry.kind == tarfile.DIRTYPE:
            known = self._lower.folders.get(entry.path)  # a folder of the build's comes with what is in it
            return known is not None and (known.mode, known.uid, known.gid) == (
                entry.mode,
                entry.uid,
                entry.gid,
            )
        if entry.path not in self._image.files:
            return False
        there = self._image.entry(entry.path)
        if (there.uid, there.gid) != (entry.uid, entry.gid) or entry.capability:
            return False
        if entry.source is None:
            return (there.kind, there.target) == (entry.kind, entry.target)
        regular = there.kind in (tarfile.REGTYPE, tarfile.LNKTYPE) and there.mode == entry.mode
        return regular and self._data(entry.path) == entry.source.read_bytes()

    def _data(self, path: str) -> bytes:
        return self._image.contents(path)


def _linked(entries: Iterable[archive.Entry]) -> list[archive.Entry]:
    """Turn all but the first of files that are one and the same into hard links, in an archive's order."""
    found: list[archive.Entry] = []
    first: dict[int, str] = {}
    for entry in sorted(entries, key=lambda entry: entry.path.split("/")):
        info = entry.source.lstat() if entry.source else None
        if info is None or info.st_nlink == 1 or first.setdefault(info.st_ino, entry.path) == entry.path:
            found.append(entry)
        else:
            link = entry._replace(kind=tarfile.LNKTYPE, source=None, target=first[info.st_ino])
            found.append(link)
    return found


def between(
    before: Times, after: dict[str, os.stat_result], asked: Ownership | None = None
) -> tuple[list[str], set[str]]:
    """Return the paths that came or changed, and those that went; what never belongs to a layer left out.

    Args:
        before: change times before the command.
        after: everything after it.
        asked: owners that the command asked for, which leave no trace in the file system.
    """
    changed = [
        path
        for path, info in after.items()
        if (before.get(path) != info.st_ctime_ns or (asked is not None and asked.concerns(info.st_ino)))
        and not tidy.volatile(path)
    ]
    gone = {path for path in before.keys() - after.keys() if not tidy.volatile(path)}
    return changed, gone
