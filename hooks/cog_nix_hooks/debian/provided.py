"""What the packages of an image already have: read from the packages themselves.

The control part of a .deb lists its files (``md5sums``) and its public libraries (``shlibs``, Policy 8.6.4);
both are a few kilobytes at the front of the file. So a project whose wheels only need what every image has
never asks for the Contents index.
"""

from __future__ import annotations

import json
import lzma
import tarfile
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from debian.arfile import ArError
from debian.debfile import DebError, DebFile

from cog_nix import jsonvalue
from cog_nix.errors import LockError
from cog_nix.fetch.ranges import NoPartsError, PartsFile
from cog_nix.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cog_nix.fetch.ranges import Parts
    from cog_nix.lock.model import Deb
    from cog_nix.spec import Fetcher

_FORMAT = 1
_FRONT = 1 << 15
"""Bytes that come first: the control part of nearly all packages."""
_UNREADABLE: tuple[type[Exception], ...] = (
    *(DebError, ArError, tarfile.TarError, OSError, EOFError, ValueError, KeyError),
    *(zlib.error, lzma.LZMAError),
)
"""What reading a damaged package raises."""


def provided(debs: Iterable[Deb], fetcher: Fetcher, cache: Path) -> frozenset[str]:
    """Return the names of all libraries that packages bring.

    Args:
        debs: the packages.
        fetcher: for those that are not known yet; their fronts will do.
        cache: folder for results.

    Raises:
        LockError: a package cannot be read.
        FetchError: one cannot be fetched.
    """
    by_sha256 = {deb.artifact.sha256: deb.artifact for deb in debs}
    known = {sha256: names for sha256 in by_sha256 if (names := _kept(sha256, cache)) is not None}
    missing = [artifact for sha256, artifact in by_sha256.items() if sha256 not in known]
    if missing:
        fronts = fetcher.in_parts(missing, lambda _, parts: _from_front(parts))
        files = fetcher.artifacts([one for one in missing if one.sha256 not in fronts])
        found = {**fronts, **{sha256: _from_file(path) for sha256, path in files.items()}}
        for sha256, names in found.items():
            write_atomically(_place(sha256, cache), json.dumps(names).encode())
        known |= found
    return frozenset(name for names in known.values() for name in names)


def _place(sha256: str, cache: Path) -> Path:
    return cache / f"libraries-{_FORMAT}" / sha256[:2] / sha256


def _kept(sha256: str, cache: Path) -> list[str] | None:
    with suppress(OSError, ValueError, TypeError):
        return [str(name) for name in jsonvalue.loads(_place(sha256, cache).read_bytes())]
    return None


def _from_file(path: Path) -> list[str]:
    try:
        with DebFile(str(path)) as package:
            return _names(package)
    except _UNREADABLE as error:
        raise LockError(f"{path}: this package cannot be read: {error}", hint="Lock again.") from error


def _from_front(parts: Parts) -> list[str]:
    """Return the names by the part of a file in front.

    Raises:
        NoPartsError: it cannot be had, or is damaged.
    """
    try:
        with DebFile(fileobj=cast("BinaryIO", PartsFile(parts, _FRONT))) as package:
            return _names(package)
    except _UNREADABLE as error:
        raise NoPartsError(f"this package cannot be read: {error}") from error


def _names(package: DebFile) -> list[str]:
    return sorted(_from_files(package) | _from_shlibs(package))


def _from_files(package: DebFile) -> set[str]:
    names = (line.partition("  ")[2] for line in _lines(package, "md5sums"))
    return {name.rpartition("/")[2] for name in names if ".so" in name.rpartition("/")[2]}


def _from_shlibs(package: DebFile) -> set[str]:
    """Return file names of ``[TYPE:] LIBRARY SONAME-VERSION DEPENDENCIES`` lines (deb-shlibs(5))."""
    names: set[str] = set()
    for line in _lines(package, "shlibs"):
        words = line.split()
        if words and words[0].endswith(":"):
            words = words[1:]
        if len(words) >= 2:  # noqa: PLR2004 - a library and its version
            names |= {f"{words[0]}.so.{words[1]}", f"{words[0]}-{words[1]}.so"}
    return names


def _lines(package: DebFile, name: str) -> list[str]:
    if not package.control.has_file(name):
        return []
    return (package.control.get_content(name, encoding="utf-8", errors="replace") or "").splitlines()
