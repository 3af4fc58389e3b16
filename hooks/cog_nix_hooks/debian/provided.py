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
from typing import TYPE_CHECKING

from debian.arfile import ArError
from debian.debfile import DebError, DebFile

from cog_nix import jsonvalue
from cog_nix.errors import LockError
from cog_nix.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cog_nix.lock.model import Deb

_FORMAT = 1
_UNREADABLE: tuple[type[Exception], ...] = (
    *(DebError, ArError, tarfile.TarError, OSError, EOFError, ValueError, KeyError),
    *(zlib.error, lzma.LZMAError),
)
"""What reading a damaged package raises."""


def provided(debs: Iterable[Deb], files: Mapping[str, Path], cache: Path) -> frozenset[str]:
    """Return the names of all libraries that packages bring.

    Args:
        debs: the packages.
        files: downloaded files by sha256.
        cache: folder for results.

    Raises:
        LockError: a package cannot be read.
    """
    names: set[str] = set()
    for deb in debs:
        names.update(_libraries(files[deb.artifact.sha256], deb.artifact.sha256, cache))
    return frozenset(names)


def _libraries(path: Path, sha256: str, cache: Path) -> list[str]:
    kept = cache / f"libraries-{_FORMAT}" / sha256[:2] / sha256
    with suppress(OSError, ValueError, TypeError):
        return [str(name) for name in jsonvalue.loads(kept.read_bytes())]
    try:
        with DebFile(str(path)) as package:
            names = sorted(_from_files(package) | _from_shlibs(package))
    except _UNREADABLE as error:
        raise LockError(f"{path}: this package cannot be read: {error}", hint="Lock again.") from error
    write_atomically(kept, json.dumps(names).encode())
    return names


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
