"""What changed in a file system, as the entries of a layer."""

from __future__ import annotations

import stat
import tarfile
from typing import TYPE_CHECKING

import archive
import cleanup
import deb
import entries
import snapshot
from ownership import Ownership

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    import unpack


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
        for path in sorted(paths, key=entries.order):
            entry = self._entry(path)
            if entry is None:
                continue
            if always or not self._same(entry):
                self._entries[path] = entry

    def replace(self, path: str, data: bytes) -> None:
        """Give a file other contents than it has."""
        entry = archive.Entry(path, 0o644, data=data)
        self._entries.pop(path, None)
        if path not in self._image.files or self._image.contents(path) != data:
            self._entries[path] = entry

    def __contains__(self, path: str) -> bool:
        """Say whether the image has something at a path, before the command or from it."""
        return path in self._entries or path in self._image

    def remove(self, paths: AbstractSet[str]) -> None:
        """Hide files that the image has."""
        gone = {path for path in paths if path in self._image}
        self._entries.update((entry.path, entry) for entry in entries.whiteouts(gone))

    def entries(self) -> list[archive.Entry]:
        """Return everything, with the folders above it."""
        return entries.hard_linked(entries.with_parents(self._entries.values(), self._entry))

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
        known = self._attributes(path, stat.S_IMODE(info.st_mode))
        return entries.from_file(source, path, info, known, self._asked.of(source, info.st_ino))

    def _attributes(self, path: str, mode: int) -> deb.Attributes:
        """Return mode and owner: those of the lower file, as long as the command left its mode alone."""
        if (folder := self._lower.folders.get(path)) is not None:
            known, unpacked = folder, folder.mode & 0o1777 | 0o700
        elif path in self._lower.files:
            known = self._lower.entry(path)
            unpacked = known.mode & 0o777 | 0o200
        else:
            return deb.Attributes(0, 0, mode)
        return deb.Attributes(known.uid, known.gid, known.mode if mode == unpacked else mode)

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
        return regular and self._image.contents(entry.path) == entry.source.read_bytes()


def between(
    before: snapshot.Times, after: Mapping[str, os.stat_result], asked: Ownership | None = None
) -> tuple[list[str], set[str]]:
    """Return :func:`snapshot.differences` without what never belongs to a layer."""
    changed, gone = snapshot.differences(before, after, asked)
    return (
        [path for path in changed if not cleanup.is_volatile(path)],
        {path for path in gone if not cleanup.is_volatile(path)},
    )
