"""Lay fragments over each other in a folder: the file system that a command or an installation sees.

Python's tarfile takes four times as long; these archives are our own (:mod:`archive`), and their index says
where each entry begins.
"""

from __future__ import annotations

import io
import mmap
import os
import shutil
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import archive
from ownership import SPECIAL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BLOCK = tarfile.BLOCKSIZE
_HEADERS = 64 * 1024
"""Enough of an entry for its headers, an extended one (long names, PAX_FORMAT) included."""
_WHITEOUT = ".wh."


@dataclass
class View:
    """What a stack of fragments looks like from above."""

    files: dict[str, tuple[Path, int, int]] = field(default_factory=dict)
    """Path of everything that is no folder: its fragment, and where its entry begins and ends."""
    folders: dict[str, archive.Entry] = field(default_factory=dict)
    marked: dict[str, archive.Entry] = field(default_factory=dict)
    """Files that belong to somebody else than root or have special bits; after :func:`unpack` alone."""

    def add(self, fragment: Path) -> list[tuple[int, int, str]]:
        """Lay a fragment on top; return its entries as :func:`archive.read_index` does."""
        directories, offsets = archive.read_index(fragment)
        for entry in directories:
            self.files.pop(entry.path, None)
            self.folders[entry.path] = entry
        for start, end, path in offsets:
            if hidden := hides(path):
                self._remove(hidden)
            else:
                if path in self.folders:
                    self._remove(path)
                self.files[path] = (fragment, start, end)
        return offsets

    def _remove(self, path: str) -> None:
        self.files.pop(path, None)
        self.marked.pop(path, None)
        if self.folders.pop(path, None):
            below = f"{path}/"
            for known in (self.files, self.folders, self.marked):
                for one in [one for one in known if one.startswith(below)]:
                    del known[one]

    def __contains__(self, path: str) -> bool:
        """Say whether there is a file or a folder of this name."""
        return path in self.files or path in self.folders

    def entry(self, path: str) -> archive.Entry:
        """Return a file's entry with its attributes; its bytes are left where they are."""
        info = self._info(path)
        return archive.Entry(path, info.mode, info.type, target=info.linkname, uid=info.uid, gid=info.gid)

    def contents(self, path: str) -> bytes:
        """Return a regular file's bytes, wherever its entry has them (a hard link's target)."""
        info = self._info(path)
        if info.type == tarfile.LNKTYPE:
            return self.contents(info.linkname)
        fragment, _, end = self.files[path]
        with (fragment / "files.tar").open("rb") as stream:
            stream.seek(end - -(-info.size // _BLOCK) * _BLOCK)
            return stream.read(info.size)

    def _info(self, path: str) -> tarfile.TarInfo:
        fragment, start, end = self.files[path]
        with (fragment / "files.tar").open("rb") as stream:
            stream.seek(start)
            return parse(stream.read(min(end - start, _HEADERS)))


def view(fragments: Sequence[Path]) -> View:
    """Return what fragments laid over each other look like."""
    found = View()
    for fragment in fragments:
        found.add(fragment)
    return found


def hides(path: str) -> str:
    """Return the path that a whiteout stands for (OCI image-spec, "Whiteouts"); "" for all else."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.removeprefix(_WHITEOUT)}" if name.startswith(_WHITEOUT) else ""


def parse(data: bytes) -> tarfile.TarInfo:
    """Read an entry's header, extended or not."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return next(iter(tar))


def unpack(fragments: Sequence[Path], root: Path, *, writable: bool = True) -> View:
    """Unpack fragments over each other; return what was laid where.

    Owners stay this process's, and setuid bits are left out: neither can be had here, and both are in the
    archives.

    Args:
        fragments: from bottom to top.
        root: a folder.
        writable: whether this process may write to all files; otherwise their modes are the archives'.
    """
    view = View()
    umask = os.umask(0)
    try:
        for fragment in fragments:
            offsets = view.add(fragment)
            for entry in archive.read_index(fragment)[0]:
                _folder(f"{root}/{entry.path}", entry.mode)
            if offsets:
                with (
                    (fragment / "files.tar").open("rb") as stream,
                    mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
                ):
                    _files(data, offsets, f"{root}/", view.marked, 0o200 if writable else 0)
    finally:
        os.umask(umask)
    return view


def _folder(path: str, mode: int) -> None:
    """Make a folder, or give one that is there its permissions."""
    try:
        os.mkdir(path, mode & 0o1777 | 0o700)  # noqa: PTH102 - tens of thousands of them
    except FileExistsError:
        if os.path.islink(path) or not os.path.isdir(path):  # noqa: PTH112, PTH114 - as above
            os.unlink(path)  # noqa: PTH108 - as above
            os.mkdir(path, mode & 0o1777 | 0o700)  # noqa: PTH102 - as above
        else:
            os.chmod(path, mode & 0o1777 | 0o700)  # noqa: PTH101 - as above


def _files(
    data: mmap.mmap,
    offsets: Sequence[tuple[int, int, str]],
    prefix: str,
    marked: dict[str, archive.Entry],
    added_mode: int,
) -> None:
    for start, end, path in offsets:
        if hidden := hides(path):
            _remove(prefix + hidden)
            continue
        kind = data[start + 156 : start + 157]  # typeflag (POSIX.1-2017, pax, ustar Interchange Format)
        if kind == tarfile.XHDTYPE:
            info = parse(data[start : min(end, start + _HEADERS)])
            kind, mode, size, target = info.type, info.mode, info.size, info.linkname
            uid, gid = info.uid, info.gid
            body = end - -(-size // _BLOCK) * _BLOCK
        else:
            header = data[start : start + _BLOCK]
            mode, uid, gid = int(header[100:107], 8), int(header[108:115], 8), int(header[116:123], 8)
            size = int(header[124:135], 8)
            target = os.fsdecode(header[157:257].rstrip(b"\0"))
            body = start + _BLOCK
        marked.pop(path, None)
        if uid or gid or mode & SPECIAL:
            marked[path] = archive.Entry(path, mode, kind, uid=uid, gid=gid)
        place = _Place(prefix + path, mode & 0o777 | added_mode, body, size)
        target = prefix + target if kind == tarfile.LNKTYPE else target
        _file(place, kind, data, target)


@dataclass(frozen=True)
class _Place:
    """Where a file goes, and where its bytes are in the archive."""

    path: str
    mode: int
    start: int
    size: int


def _file(place: _Place, kind: bytes, data: mmap.mmap, target: str) -> None:
    try:
        if kind == tarfile.REGTYPE:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            descriptor = os.open(place.path, flags, place.mode)
            try:
                _write(descriptor, data, place.start, place.size)
            finally:
                os.close(descriptor)
            os.utime(place.path, (archive.MTIME, archive.MTIME))
        elif kind == tarfile.SYMTYPE:
            os.symlink(target, place.path)  # noqa: PTH211 - tens of thousands of them
        elif kind == tarfile.LNKTYPE:
            os.link(target, place.path)
    except FileExistsError:
        _remove(place.path)
        _file(place, kind, data, target)
    except FileNotFoundError:
        # dpkg names bookworm's /usr/lib64 by its other name, so its folder comes with a later fragment.
        parent = os.path.dirname(place.path)  # noqa: PTH120 - as above
        if os.path.isdir(parent):  # noqa: PTH112 - as above
            raise
        os.makedirs(parent, 0o755)  # noqa: PTH103 - as above
        _file(place, kind, data, target)


def _write(descriptor: int, data: mmap.mmap, start: int, size: int) -> None:
    view = memoryview(data)
    try:
        while size:
            with view[start : start + size] as rest:
                written = os.write(descriptor, rest)
            start, size = start + written, size - written
    finally:
        view.release()


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 - as above
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)  # noqa: PTH108 - as above
