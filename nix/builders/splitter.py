"""Divide an installed system: which files are whose, and whom they belong to in the image."""

from __future__ import annotations

import stat
import tarfile
from typing import TYPE_CHECKING

import archive
import deb
from ownership import SPECIAL, Ownership

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet
    from pathlib import Path

MERGED = ("bin", "sbin", "lib", "lib64")
PLAIN = 0o1777
"""Permissions that the build's user may really set."""

Owners = dict[str, deb.Attributes]
"""Owner and permissions of packaged files by path."""


def merged(path: str) -> str:
    """Return a path with the merged-/usr links followed (``bin/sh`` → ``usr/bin/sh``)."""
    head, _, rest = path.partition("/")
    return f"usr/{path}" if head in MERGED and rest else path


def package_files(root: Path, package: str) -> list[str]:
    """Return the paths that dpkg's database gives to a package."""
    info = root / "var/lib/dpkg/info"
    listing = info / f"{package}.list"
    if not listing.exists():
        listing = info / f"{package}:amd64.list"
    return [merged(line.lstrip("/")) for line in listing.read_text().splitlines() if line not in ("/.", "")]


def bytecode_by_source(paths: Iterable[str]) -> dict[str, list[str]]:
    """Group ``…/__pycache__/name.cpython-313.pyc`` by the source it was compiled from (PEP 3147)."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        cache, _, name = path.rpartition("/")
        folder, _, last = cache.rpartition("/")
        if last == "__pycache__":
            found.setdefault(f"{folder}/{name.partition('.')[0]}.py", []).append(path)
    return found


def mark_unchecked(path: Path) -> None:
    """Turn bytecode of the checked hash kind into unchecked (PEP 552).

    SOURCE_DATE_EPOCH, which maintainer scripts see, makes py_compile write the checked kind.
    """
    with path.open("r+b") as stream:
        stream.seek(4)
        if stream.read(4) == b"\x03\0\0\0":
            stream.seek(4)
            stream.write(b"\x01\0\0\0")


_SHADOW = {"etc/shadow": 42, "etc/gshadow": 42}
"""Files that are copied whenever a user comes, owner and all, for the group shadow (Debian Policy 9.2.2)."""


class Splitter:
    """Turns the installed tree into entries.

    Args:
        root: the tree.
        attributes: of files by path, as their packages have them.
        asked: what programs asked for since.
    """

    def __init__(self, root: Path, attributes: Owners, asked: Ownership | None = None) -> None:
        self.root = root
        self.attributes = attributes
        self.asked = asked or Ownership()
        self._links: dict[tuple[str, int], str] = {}

    def entry(self, path: str, group: str) -> archive.Entry | None:
        """Return the entry of a path, or None when the image has no such file."""
        source = self.root / path
        try:
            info = source.lstat()
        except FileNotFoundError:
            return None
        attributes = self._attributes(path, info)
        mode, uid, gid = attributes.mode, attributes.uid, attributes.gid
        if stat.S_ISDIR(info.st_mode):
            return archive.Entry(path, mode, tarfile.DIRTYPE, uid=uid, gid=gid)
        if stat.S_ISLNK(info.st_mode):
            target = str(source.readlink())
            return archive.Entry(path, 0o777, tarfile.SYMTYPE, target=target, uid=uid, gid=gid)
        if not stat.S_ISREG(info.st_mode):
            return None
        if info.st_nlink > 1:
            first = self._links.setdefault((group, info.st_ino), path)
            if first != path:
                return archive.Entry(path, mode, tarfile.LNKTYPE, target=first, uid=uid, gid=gid)
        if not info.st_mode & stat.S_IRUSR:
            source.chmod(0o600)  # to be read by the build's user
        capability = self.asked.of(source, info.st_ino).capability or ""
        return archive.Entry(path, mode, source=source, uid=uid, gid=gid, capability=capability)

    def _attributes(self, path: str, info: os.stat_result) -> deb.Attributes:
        """Return owner and mode: what was asked for last, else what the package has, else root's."""
        mode = info.st_mode & PLAIN
        known = self.attributes.get(path, deb.Attributes(0, _SHADOW.get(path, 0), mode))
        change = self.asked.of(self.root / path, info.st_ino)
        if stat.S_ISDIR(info.st_mode) and mode == known.mode & PLAIN | stat.S_IRWXU:
            mode = known.mode & PLAIN  # made writable for the build
        special = known.mode & SPECIAL if change.special is None else change.special
        uid = known.uid if change.uid is None else change.uid
        gid = known.gid if change.gid is None else change.gid
        return deb.Attributes(uid, gid, mode | special)


def whiteouts(gone: AbstractSet[str]) -> list[archive.Entry]:
    """Return entries that hide files of lower layers, diverted or removed (OCI image-spec, "Whiteouts")."""
    tops = {path for path in gone if path.rpartition("/")[0] not in gone}
    return [
        archive.Entry(f"{folder}{slash}.wh.{name}", 0o644)
        for folder, slash, name in (path.rpartition("/") for path in tops)
    ]


def below(folders: list[archive.Entry], entries: list[archive.Entry]) -> list[archive.Entry]:
    """Return the entries and those of the folders that they lie in."""
    return [
        *entries,
        *(folder for folder in folders if any(one.path.startswith(f"{folder.path}/") for one in entries)),
    ]


def with_parents(entries: list[archive.Entry], split: Splitter) -> list[archive.Entry]:
    """Add the folders above the entries that are not among them, with their real attributes."""
    have = {entry.path for entry in entries}
    for entry in list(entries):
        parts = entry.path.split("/")
        for depth in range(1, len(parts)):
            path = "/".join(parts[:depth])
            if path not in have:
                have.add(path)
                if (parent := split.entry(path, "")) is not None:
                    entries.append(parent)
    return entries
