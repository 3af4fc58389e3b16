"""Security holes that newer packages close, as their changelogs say (Debian Policy 4.4 and 12.7).

The changelog lies in the package itself, so nothing else has to be asked, and what was fetched for it is what
the next build takes.
"""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

from debian.arfile import ArError
from debian.changelog import ChangelogParseError
from debian.debfile import DebError, DebFile
from debian.debian_support import Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from debian.changelog import Changelog

    from cog_nix.lock.model import Deb
    from cog_nix.plugins.spec import Context

_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_UNREADABLE = (OSError, EOFError, ValueError, gzip.BadGzipFile, ArError, DebError, ChangelogParseError)


def find_fixes(updates: Sequence[tuple[str, Deb]], context: Context) -> Mapping[str, Sequence[str]]:
    """Return the identifiers of what newer packages close, by package.

    Args:
        updates: the version so far, and the package that comes.
        context: fetches the packages.

    Raises:
        FetchError: a package cannot be fetched.
    """
    newer = [(old, deb) for old, deb in updates if Version(old) < Version(deb.version)]
    files = context.fetcher.artifacts([deb.artifact for _, deb in newer]) if newer else {}
    found = {}
    for old, deb in newer:
        closed = sorted(set(_closed(files[deb.artifact.sha256], old)), key=_number)
        if closed:
            found[deb.package] = tuple(closed)
    return found


def _number(identifier: str) -> tuple[int, ...]:
    return tuple(map(int, identifier.split("-")[1:]))


def _closed(path: Path, since: str) -> Iterator[str]:
    """Yield what the entries of a package's changelog after a version name."""
    for block in _changelog(path) or ():
        if Version(str(block.version)) <= Version(since):
            return
        for line in block.changes():
            yield from _CVE.findall(line)


def _changelog(path: Path) -> Changelog | None:
    """Return a package's changelog; None where it has none, as packages that share one's folder."""
    try:
        package = DebFile(str(path))
        try:
            return package.changelog()
        finally:
            package.close()
    except _UNREADABLE:
        return None
