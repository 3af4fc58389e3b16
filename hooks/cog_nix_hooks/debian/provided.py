"""What the packages of an image already have: read from the packages themselves.

The control part of a .deb lists its files (``md5sums``) and its public libraries (``shlibs``, Policy 8.6.4);
both are a few kilobytes at the front of the file. So a project whose wheels only need what every image has
never asks for the Contents index.
"""

from __future__ import annotations

import io
import json
import lzma
import tarfile
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from debian.arfile import ArError
from debian.debfile import DebError, DebFile

from cog_nix.fetch.ranges import NoPartsError
from cog_nix.lock import seals
from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically

from .errors import UnreadablePackageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cog_nix.fetch.ranges import Parts
    from cog_nix.lock.model import Deb
    from cog_nix.plugins.spec import Fetcher

_FORMAT = 2
_HEADER = 60
_CONTROL = 8 + _HEADER + 4
"""Where the control part's header stands: behind the magic number and the format's version."""
_FRONT = 1 << 15
"""Bytes that come first: the control part of nearly all packages."""
_UNREADABLE: tuple[type[Exception], ...] = (
    *(DebError, ArError, tarfile.TarError, OSError, EOFError, ValueError, KeyError),
    *(zlib.error, lzma.LZMAError),
)
"""What reading a damaged package raises."""


@dataclass(frozen=True)
class Provided:
    """What a package says in front."""

    names: tuple[str, ...]
    """Of its libraries."""
    seal: str
    """Of the bytes that say so (:func:`cog_nix.lock.seals.front`)."""


def provided(debs: Iterable[Deb], fetcher: Fetcher, cache: Path) -> dict[str, Provided]:
    """Return the names of the libraries that packages bring, by package.

    What was read from a server's parts of files is not kept: a build that finds it wrong leaves the whole
    files here, which are read the next time.

    Args:
        debs: the packages.
        fetcher: for those that are not known yet; their fronts will do.
        cache: folder for results.

    Raises:
        UnreadablePackageError: a package cannot be read.
        FetchError: one cannot be fetched.
    """
    by_sha256 = {deb.artifact.sha256: deb.artifact for deb in debs}
    known = {sha256: found for sha256 in by_sha256 if (found := _kept(sha256, cache)) is not None}
    missing = [artifact for sha256, artifact in by_sha256.items() if sha256 not in known]
    if missing:
        known |= fetcher.in_parts(missing, lambda _, parts: _from_parts(parts))
        files = fetcher.artifacts([one for one in missing if one.sha256 not in known])
        for sha256, path in files.items():
            known[sha256] = _from_file(path)
            write_atomically(_place(sha256, cache), json.dumps(asdict(known[sha256])).encode())
    return {deb.package: known[deb.artifact.sha256] for deb in debs}


def _place(sha256: str, cache: Path) -> Path:
    return cache / f"libraries-{_FORMAT}" / sha256[:2] / sha256


def _kept(sha256: str, cache: Path) -> Provided | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = jsonvalue.loads(_place(sha256, cache).read_bytes())
        return Provided(tuple(map(str, found["names"])), str(found["seal"]))
    return None


def _from_file(path: Path) -> Provided:
    try:
        with path.open("rb") as file:
            return _read(lambda start, size: file.read(size) if file.seek(start) >= 0 else b"")
    except _UNREADABLE as error:
        raise UnreadablePackageError(path, error) from error


def _from_parts(parts: Parts) -> Provided:
    """Read a part of a file.

    Raises:
        NoPartsError: it cannot be had, or is damaged.
    """
    try:
        return _read(parts.read)
    except _UNREADABLE as error:
        raise NoPartsError(f"this package cannot be read: {error}") from error


def _read(part: Callable[[int, int], bytes]) -> Provided:
    """Read what stands in front: the archive's first two members and the third's header (deb(5), ar(5)).

    Args:
        part: returns bytes, given the first one's place and how many.
    """
    front = part(0, _FRONT)
    size = int(front[_CONTROL + 48 : _CONTROL + 58])
    end = _CONTROL + _HEADER + size + size % 2 + _HEADER
    front = front[:end] if end <= len(front) else front + part(len(front), end - len(front))
    with DebFile(fileobj=io.BytesIO(front)) as package:
        return Provided(tuple(sorted(_from_files(package) | _from_shlibs(package))), seals.front(front))


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
