"""Where else a package's file may be: the same path at other mirrors, and the archive as it was.

A mirror drops a file when its package is superseded. The pool of the archive as it was when the lock's newest
index was made has every file that the lock took from that archive. The day after has those, too, that had
come with that very index: services that keep the archive take a copy a few times a day, and what is
superseded stays in the pool for longer than a day.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cog_nix.errors import LockError
from cog_nix.fetch.origins import Alternative

from .settings import DebianSettings
from .sources import find_archives, find_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.lock.model import Artifact, Index, Lock
    from cog_nix.plugins.spec import Context

    from .sources import Archive

_POOL = "/pool/"
_SECURITY = "-security"
_UPDATES = "updates/"
"""Below ``pool/`` of the security archive; what has come from there with a point release is without it."""
_LATER = timedelta(days=1)


def origins_of(
    files: Sequence[Artifact], lock: Lock | None, context: Context
) -> Mapping[str, Sequence[Alternative]]:
    """Name other places for packages of Debian.

    Args:
        files: which; others than packages from a pool are left out.
        lock: knows from when its indexes are.
        context: its settings name mirrors.
    """
    settings = context.settings.table(DebianSettings)
    archives: list[Archive] = []
    with suppress(LockError):  # one with credentials, of which locking tells
        archives += find_archives(settings, os.environ)
    snapshot = find_snapshot(settings, os.environ, archives)
    indexes = lock.all_indexes if lock else ()
    seeds = [seed.found_in for seed in lock.all_seeds] if lock else []
    groups = (lock.indexes, *seeds, lock.toolkit.found_in if lock.toolkit else ()) if lock else ()
    found = {}
    for file in files:
        base, pool, path = file.url.rpartition(_POOL)
        if not (pool and file.filename.endswith(".deb")):
            continue
        security = _is_security(base, indexes, archives)
        places = [*_mirrors(path, archives, security=security)]
        if snapshot:
            dates = sorted({_newest(group, base) for group in groups} - {None}, reverse=True)  # type: ignore[type-var]
            places += _of_snapshot(snapshot, path, filter(None, dates), security=security)
        found[file.sha256] = places
    return found


def _is_security(base: str, indexes: Sequence[Index], archives: Sequence[Archive]) -> bool:
    """Whether a base URL is one of the security archive."""
    suites = [index.suite for index in indexes if index.uri == base]
    if suites:
        return any(suite.endswith(_SECURITY) for suite in suites)
    return any(archive.security == base for archive in archives) or base.endswith(_SECURITY)


def _mirrors(path: str, archives: Sequence[Archive], *, security: bool) -> Iterator[Alternative]:
    for archive in archives:
        title = f"mirror ({archive.origin})"
        if security:
            yield Alternative(f"{archive.security}{_POOL}{path}", title)
        yield Alternative(f"{archive.main}{_POOL}{path.removeprefix(_UPDATES)}", title)


def _newest(indexes: Sequence[Index], base: str) -> str | None:
    """Return the date of the newest index of an archive."""
    return max((index.date for index in indexes if index.uri == base), default=None)


def _of_snapshot(snapshot: str, path: str, dates: Iterator[str], *, security: bool) -> Iterator[Alternative]:
    name = f"debian{_SECURITY}" if security else "debian"
    for date in dates:
        try:
            moment = datetime.fromisoformat(date).replace(tzinfo=UTC)
        except ValueError:  # the 31st of February
            continue
        for one in (moment, moment + _LATER):
            url = f"{snapshot}/{name}/{one:%Y%m%dT%H%M%SZ}{_POOL}{path}"
            yield Alternative(url, f"the archive as of {one:%Y-%m-%d}", gentle=True)
