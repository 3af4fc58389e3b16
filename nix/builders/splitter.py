"""Divide an installed system: which files are whose, and whom they belong to in the image."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import deb
import entries
from ownership import SPECIAL, Ownership

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path

    import archive

PLAIN = 0o1777
"""Permissions that the build's user may really set."""

Owners = dict[str, deb.Attributes]
"""Owner and permissions of packaged files by path."""


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

    def entry(self, path: str) -> archive.Entry | None:
        """Return the entry of a path, or None when the image has no such file."""
        source = self.root / path
        try:
            info = source.lstat()
        except FileNotFoundError:
            return None
        change = self.asked.of(source, info.st_ino)
        return entries.from_file(source, path, info, self._attributes(path, info), change)

    def _attributes(self, path: str, info: os.stat_result) -> deb.Attributes:
        """Return owner and mode: what the package has, else root's; permissions as they are now."""
        mode = info.st_mode & PLAIN
        known = self.attributes.get(path, deb.Attributes(0, _SHADOW.get(path, 0), mode))
        if stat.S_ISDIR(info.st_mode) and mode == known.mode & PLAIN | stat.S_IRWXU:
            mode = known.mode & PLAIN  # made writable for the build
        return deb.Attributes(known.uid, known.gid, mode | known.mode & SPECIAL)
