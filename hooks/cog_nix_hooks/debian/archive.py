"""The suite's indexes, fetched and verified: from a signed Release file to a :class:`Catalogue`.

A suite is locked as apt would use it: the suite itself, its ``-updates`` and its ``-security``, component
main. A mirror without these says nothing about whether they exist, and anybody on the way may speak for one
without TLS: that one is missing is an error, unless cog-nix.toml says so.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.request import url2pathname

from cog_nix.errors import FetchError, LockError
from cog_nix.fetch import urls
from cog_nix.lock.model import Artifact, Index

from .newest import newest, place
from .packages import Catalogue, open_index
from .relations import ARCHITECTURE
from .release import IndexFile, Release, find_keyring, read_release
from .sources import HOW_TO_SET, Archive, find_archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cog_nix.plugins.spec import Context

COMPONENT = "main"
_CONTENTS_MAX_AGE = 3600.0
"""Seconds for which a Contents index that no signature covers is not asked for again."""
_WHAT = {"updates": "the updates between point releases", "security": "the security updates"}
_WITHOUT_ADDITIONS = frozenset({"sid", "unstable"})
_RELEASE_MAX_AGE = 300.0
"""Seconds: one locking asks several times, and must see one state of the archive."""


@dataclass(frozen=True)
class _Pocket:
    """One suite of the archive with its Release file."""

    uri: str
    suite: str
    release: Release
    file: IndexFile
    """The index that is wanted: a Packages file, or a Contents file."""
    component: str = COMPONENT
    passed_over: Release | None = None
    """What the mirror has, where this machine has seen a newer one."""

    @property
    def folder(self) -> str:
        return f"{self.uri}/dists/{self.suite}"

    def artifact(self, *, by_hash: bool) -> Artifact:
        """Return where the index is.

        By hash, it is found even while the mirror is being updated.
        """
        path, _, name = self.file.path.rpartition("/")
        url = (
            f"{self.folder}/{path}/by-hash/SHA256/{self.file.sha256}"
            if by_hash
            else f"{self.folder}/{path}/{name}"
        )
        return Artifact(name, url, self.file.sha256, self.file.size)

    @property
    def index(self) -> Index:
        """The entry of the lock."""
        date = f"{self.release.date:%Y-%m-%dT%H:%M:%SZ}"
        return Index(self.uri, self.suite, self.component, ARCHITECTURE, date, self.file.sha256)


@dataclass(frozen=True)
class OpenSuite:
    """A suite ready to look things up in; a context manager that closes the files behind it."""

    catalogue: Catalogue
    indexes: tuple[Index, ...]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.catalogue.__exit__(*exc)


def open_suite(
    suite: str,
    context: Context,
    environment: Mapping[str, str] | None = None,
    *,
    component: str = COMPONENT,
) -> OpenSuite:
    """Fetch, verify and open a suite's indexes.

    Args:
        suite: Debian's name for it, ``trixie``.
        context: settings and services.
        environment: variables of the process; None: the real ones.
        component: area of the archive (Debian Policy 2.2); of another than main, the suite itself is all that
            is looked at.

    Raises:
        LockError: there is no mirror, keyring or suite, or a signature is wrong.
        FetchError: an index cannot be fetched, or has another hash than the signed one.
    """
    variables = os.environ if environment is None else environment
    archive = find_archive(context.settings.debian, variables)
    keyring = find_keyring(variables)
    pockets = [_main_pocket(archive, suite, context, keyring, component)]
    pockets += [
        _extra_pocket(archive.security if kind == "security" else archive.main, suite, kind, context, keyring)
        for kind in (_additions(suite, context) if component == COMPONENT else ())
    ]
    paths = _fetch(pockets, context)
    cache = context.cache_dir / "debian"
    indexes = tuple(
        open_index(path, sha256=pocket.file.sha256, uri=pocket.uri, cache_dir=cache)
        for pocket, path in zip(pockets, paths, strict=True)
    )
    names = tuple((pocket.release.codename, pocket.release.suite) for pocket in pockets)
    return OpenSuite(Catalogue(suite, indexes, names), tuple(pocket.index for pocket in pockets))


def check_mirror(suite: str, context: Context, environment: Mapping[str, str] | None = None) -> str:
    """Fetch a suite's Release file and check its signature; return who named the mirror.

    Raises:
        LockError: there is no mirror, keyring or suite, or a signature is wrong.
        FetchError: the mirror does not answer.
    """
    variables = os.environ if environment is None else environment
    archive = find_archive(context.settings.debian, variables)
    _main_pocket(archive, suite, context, find_keyring(variables))
    return archive.origin


@dataclass(frozen=True)
class ContentsFile:
    """A suite's Contents index: which package has which file."""

    source: Path | bytes
    """Gzipped."""
    sha256: str
    signed: bool
    """Whether it is the one that the Release file names. Otherwise it is no more than a hint."""


def fetch_contents(
    suite: str, context: Context, environment: Mapping[str, str] | None = None
) -> ContentsFile | None:
    """Fetch a suite's Contents index.

    Mirrors bring it up to date apart from the other indexes, and some stay behind for weeks. Then what they
    have is returned as it is, and it is the caller's to look whether a package has what the index says.

    Args:
        suite: Debian's name for it.
        context: settings and services.
        environment: variables of the process; None: the real ones.

    Returns:
        The index; None when the mirror has none (a partial one).

    Raises:
        LockError: there is no mirror, keyring or suite, or a signature is wrong.
        FetchError: the mirror does not answer.
    """
    variables = os.environ if environment is None else environment
    archive = find_archive(context.settings.debian, variables)
    pocket = _main_pocket(archive, suite, context, find_keyring(variables))
    file = pocket.release.files.get(f"{COMPONENT}/Contents-{ARCHITECTURE}.gz")
    if file is None:
        return None
    pocket = replace(pocket, file=file)
    if pocket.release.by_hash:
        with suppress(FetchError):
            found = context.fetcher.artifacts([pocket.artifact(by_hash=True)])
            return ContentsFile(found[file.sha256], file.sha256, signed=True)
    try:
        data = context.fetcher.text(pocket.artifact(by_hash=False).url, max_age=_CONTENTS_MAX_AGE)
    except FetchError as error:
        # A partial mirror may carry Debian's Release file without all that it names.
        if is_refusal(error):
            return None
        raise
    sha256 = hashlib.sha256(data).hexdigest()
    return ContentsFile(data, sha256, signed=sha256 == file.sha256)


def _main_pocket(
    archive: Archive, suite: str, context: Context, keyring: Path, component: str = COMPONENT
) -> _Pocket:
    try:
        return _read_pocket(archive.main, suite, context, keyring, component)
    except FetchError as error:
        if _is_absent(error, archive.main, suite):
            raise LockError(
                f"{archive.main} ({archive.origin}) has no suite {suite!r}.", hint=HOW_TO_SET
            ) from error
        raise LockError(
            f"The Debian mirror {archive.main} ({archive.origin}) cannot be read: {error.message}",
            hint=f"Is the network up? {HOW_TO_SET}",
        ) from error


def _additions(suite: str, context: Context) -> tuple[str, ...]:
    """Return the kinds of suites that come on top of a suite; what goes into sid goes there at once."""
    if suite in _WITHOUT_ADDITIONS:
        return ()
    wanted = context.settings.debian.additions
    if "security" not in wanted:
        context.reporter.warn(f"{suite} comes without its security updates ([debian] additions).")
    return wanted


def _extra_pocket(uri: str, suite: str, kind: str, context: Context, keyring: Path) -> _Pocket:
    """Read an addition to a suite."""
    name = f"{suite}-{kind}"
    try:
        return _read_pocket(uri, name, context, keyring)
    except FetchError as error:
        setting = "security_mirror" if kind == "security" else "mirror"
        if _is_absent(error, uri, name):
            left = [f'"{one}"' for one in context.settings.debian.additions if one != kind]
            raise LockError(
                f"{uri} has no {name}, which has {_WHAT[kind]} of {suite}.",
                hint=f"Set [debian] {setting} in cog-nix.toml to a mirror that has it. "
                f"To do without, set additions = [{', '.join(left)}] there.",
            ) from error
        raise LockError(
            f"{name} cannot be read from {uri}: {error.message}",
            hint=f"Set [debian] {setting} in cog-nix.toml to a mirror that has it. {HOW_TO_SET}",
        ) from error


def _read_pocket(
    uri: str, suite: str, context: Context, keyring: Path, component: str = COMPONENT
) -> _Pocket:
    url = f"{uri}/dists/{suite}/InRelease"
    try:
        release, passed_over = _newest_release(url, suite, context, keyring)
    except LockError:  # damaged on its way, or a page to log in at: what is in the cache is no better
        release, passed_over = _newest_release(url, suite, context, keyring)
    if passed_over:
        context.reporter.info(
            f"{url} is of {_said(passed_over)}: staying with the one of {_said(release)}, seen here before."
        )
    file = release.packages(component, ARCHITECTURE)
    if file is None:
        raise LockError(f"{url} names no Packages file for {component} on {ARCHITECTURE}.", hint=HOW_TO_SET)
    return _Pocket(uri, suite, release, file, component, passed_over)


def _said(release: Release) -> str:
    return f"{release.date:%Y-%m-%d %H:%M} UTC"


def _newest_release(url: str, suite: str, context: Context, keyring: Path) -> tuple[Release, Release | None]:
    """Fetch a Release file and check its signature; the cache keeps only what passes."""

    def read(data: bytes) -> Release:
        check = context.settings.debian.check_valid_until
        return read_release(data, url=url, asked=suite, keyring=keyring, check_valid_until=check)

    came = context.fetcher.text(url, max_age=_RELEASE_MAX_AGE)
    try:
        return newest(url, came, read, context.cache_dir)
    except LockError:
        context.fetcher.forget(url)
        raise


def _is_absent(error: FetchError, uri: str, suite: str) -> bool:
    """Tell "there is no such suite" from "the mirror did not answer"."""
    parts = urls.split(uri)
    if parts.scheme == "file":
        base = Path(url2pathname(parts.path))
        return base.parent.is_dir() and not (base / "dists" / suite / "InRelease").exists()
    return is_refusal(error)


def is_refusal(error: FetchError) -> bool:
    """Tell whether the mirror said clearly that it has no such file."""
    status = getattr(error, "status", None)
    return (
        status in (404, 410)
        if status is not None
        else bool(re.search(r"answered (404|410)\b", error.message))
    )


def _fetch(pockets: list[_Pocket], context: Context) -> list[Path]:
    wanted = [pocket.artifact(by_hash=pocket.release.by_hash) for pocket in pockets]
    try:
        found = context.fetcher.artifacts(wanted)
    except FetchError as error:
        if not any(pocket.release.by_hash for pocket in pockets):
            raise next(_behind(pockets, error, context), error) from error
        # A partial mirror may carry Debian's Release file without the by-hash folders; apt falls back as
        # well.
        wanted = [pocket.artifact(by_hash=False) for pocket in pockets]
        try:
            found = context.fetcher.artifacts(wanted)
        except FetchError as again:
            raise next(_behind(pockets, again, context), again) from again
    return [found[artifact.sha256] for artifact in wanted]


def _behind(pockets: list[_Pocket], error: FetchError, context: Context) -> Iterator[LockError]:
    """Yield an error for each mirror that was newer before and has no more what it had."""
    for pocket in pockets:
        if pocket.passed_over:
            url = f"{pocket.folder}/InRelease"
            yield LockError(
                f"{url} is of {_said(pocket.passed_over)}, and was of {_said(pocket.release)} before: the "
                f"mirror is behind, or someone keeps updates back.\n  {error.message}",
                hint="Use another mirror, or run this again later. If the mirror was put back on purpose, "
                f"remove {place(url, context.cache_dir)}",
            )
