"""The suite's indexes, fetched and verified: from a signed Release file to a :class:`Catalogue`.

A suite is locked as apt would use it: the suite itself, its ``-updates`` and its ``-security``, component
main. A mirror without these says nothing about whether they exist, and anybody on the way may speak for one
without TLS: that one is missing is an error, unless cog-nix.toml says so.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.request import url2pathname

from cog_nix.errors import FetchError, LockError
from cog_nix.fetch import urls
from cog_nix.fetch.failures import StatusError
from cog_nix.lock.model import Artifact, Index
from cog_nix.system.platforms import AMD64

from .errors import HOW_TO_SET, MirrorError, ReleaseError
from .newest import newest, place
from .packages import Catalogue, open_index
from .release import IndexFile, Release, find_keyring, read_release
from .settings import DebianSettings
from .sources import find_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    architecture: str = AMD64.debian
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
        file = f"by-hash/SHA256/{self.file.sha256}" if by_hash else name
        return Artifact(name, f"{self.folder}/{path}/{file}", self.file.sha256, self.file.size)

    @property
    def index(self) -> Index:
        """The entry of the lock."""
        date = f"{self.release.date:%Y-%m-%dT%H:%M:%SZ}"
        return Index(self.uri, self.suite, self.component, self.architecture, date, self.file.sha256)


@dataclass(frozen=True)
class OpenSuite:
    """A suite ready to look things up in; a context manager that closes the files behind it."""

    catalogue: Catalogue
    indexes: tuple[Index, ...]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.catalogue.__exit__(*exc)


def open_suite(suite: str, context: Context, *, component: str = COMPONENT) -> OpenSuite:
    """Fetch, verify and open a suite's indexes.

    Args:
        suite: Debian's name for it, ``trixie``.
        context: settings and services.
        component: area of the archive (Debian Policy 2.2); of another than main, the suite itself is all that
            is looked at.

    Raises:
        LockError: there is no mirror, keyring or suite, or a signature is wrong.
        FetchError: an index cannot be fetched, or has another hash than the signed one.
    """
    reader = _Reader(context)
    pockets = [reader.suite(suite, component)]
    if component == COMPONENT:
        pockets += [reader.addition(suite, kind) for kind in reader.additions(suite)]
    paths = reader.fetch(pockets)
    cache = context.cache_dir / "debian"
    indexes = tuple(
        open_index(
            path,
            sha256=pocket.file.sha256,
            uri=pocket.uri,
            cache_dir=cache,
            architecture=context.platform.debian,
        )
        for pocket, path in zip(pockets, paths, strict=True)
    )
    names = tuple((pocket.release.codename, pocket.release.suite) for pocket in pockets)
    return OpenSuite(
        Catalogue(suite, indexes, names, context.platform.debian), tuple(pocket.index for pocket in pockets)
    )


def check_mirror(suite: str, context: Context) -> str:
    """Fetch a suite's Release file and check its signature; return who named the mirror.

    Raises:
        LockError: there is no mirror, keyring or suite, or a signature is wrong.
        FetchError: the mirror does not answer.
    """
    reader = _Reader(context)
    reader.suite(suite)
    return reader.archive.origin


@dataclass(frozen=True)
class ContentsFile:
    """A suite's Contents index: which package has which file."""

    source: Path | bytes
    """Gzipped."""
    sha256: str
    signed: bool
    """Whether it is the one that the Release file names. Otherwise it is no more than a hint."""


def fetch_contents(suite: str, context: Context) -> ContentsFile | None:
    """Fetch a suite's Contents index.

    Mirrors bring it up to date apart from the other indexes, and some stay behind for weeks. Then what they
    have is returned as it is, and it is the caller's to look whether a package has what the index says.

    Args:
        suite: Debian's name for it.
        context: settings and services.

    Returns:
        The index; None when the mirror has none (a partial one).

    Raises:
        LockError: there is no mirror, keyring or suite, or a signature is wrong.
        FetchError: the mirror does not answer.
    """
    pocket = _Reader(context).suite(suite)
    file = pocket.release.files.get(f"{COMPONENT}/Contents-{context.platform.debian}.gz")
    if file is None:
        return None
    pocket = replace(pocket, file=file)
    if pocket.release.by_hash:
        with suppress(FetchError):
            found = context.fetcher.artifacts([pocket.artifact(by_hash=True)])
            return ContentsFile(found[file.sha256], file.sha256, signed=True)
    try:
        data = context.fetcher.text(pocket.artifact(by_hash=False).url, max_age=_CONTENTS_MAX_AGE)
    except StatusError as error:
        # A partial mirror may carry Debian's Release file without all that it names.
        if error.gone:
            return None
        raise
    sha256 = hashlib.sha256(data).hexdigest()
    return ContentsFile(data, sha256, signed=sha256 == file.sha256)


class _Reader:
    """Reads the archive's suites.

    Args:
        context: settings and services.

    Raises:
        LockError: there is no mirror or keyring.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._settings = context.settings.table(DebianSettings)
        self._architecture = context.platform.debian
        self.archive = find_archive(self._settings, os.environ)
        self._keyring = find_keyring(os.environ)

    def suite(self, suite: str, component: str = COMPONENT) -> _Pocket:
        """Read a suite."""
        main = f"{self.archive.main} ({self.archive.origin})"
        try:
            return self._read(self.archive.main, suite, component)
        except FetchError as error:
            if _is_absent(error, self.archive.main, suite):
                problem, hint = f"{main} has no suite {suite!r}.", HOW_TO_SET
            else:
                problem = f"The Debian mirror {main} cannot be read: {error.message}"
                hint = f"Is the network up? {HOW_TO_SET}"
            raise MirrorError(self.archive.main, suite, problem, hint=hint) from error

    def additions(self, suite: str) -> tuple[str, ...]:
        """Return the kinds of suites that come on top of a suite; what goes into sid goes there at once."""
        if suite in _WITHOUT_ADDITIONS:
            return ()
        if "security" not in self._settings.additions:
            self._context.reporter.warn(f"{suite} comes without its security updates ([debian] additions).")
        return self._settings.additions

    def addition(self, suite: str, kind: str) -> _Pocket:
        """Read an addition to a suite."""
        name = f"{suite}-{kind}"
        uri = self.archive.security if kind == "security" else self.archive.main
        try:
            return self._read(uri, name)
        except FetchError as error:
            setting = "security_mirror" if kind == "security" else "mirror"
            hint = f"Set [debian] {setting} in cog-nix.toml to a mirror that has it."
            if _is_absent(error, uri, name):
                problem = f"{uri} has no {name}, which has {_WHAT[kind]} of {suite}."
                left = ", ".join(f'"{one}"' for one in self._settings.additions if one != kind)
                hint += f" To do without, set additions = [{left}] there."
            else:
                problem = f"{name} cannot be read from {uri}: {error.message}"
                hint += f" {HOW_TO_SET}"
            raise MirrorError(uri, name, problem, hint=hint) from error

    def _read(self, uri: str, suite: str, component: str = COMPONENT) -> _Pocket:
        url = f"{uri}/dists/{suite}/InRelease"
        try:
            release, passed_over = self._newest(url, suite)
        except LockError:  # damaged on its way, or a page to log in at: what is in the cache is no better
            release, passed_over = self._newest(url, suite)
        if passed_over:
            kept = f"staying with the one of {_said(release)}, seen here before."
            self._context.reporter.info(f"{url} is of {_said(passed_over)}: {kept}")
        file = release.packages(component, self._architecture)
        if file is None:
            problem = f"names no Packages file for {component} on {self._architecture}."
            raise ReleaseError(url, problem, hint=HOW_TO_SET)
        return _Pocket(uri, suite, release, file, component, self._architecture, passed_over)

    def _newest(self, url: str, suite: str) -> tuple[Release, Release | None]:
        """Fetch a Release file and check its signature; the cache keeps only what passes."""

        def read(data: bytes) -> Release:
            check = self._settings.check_valid_until
            return read_release(data, url=url, asked=suite, keyring=self._keyring, check_valid_until=check)

        came = self._context.fetcher.text(url, max_age=_RELEASE_MAX_AGE)
        try:
            return newest(url, came, read, self._context.cache_dir)
        except LockError:
            self._context.fetcher.forget(url)
            raise

    def fetch(self, pockets: list[_Pocket]) -> list[Path]:
        """Fetch the indexes, by hash where the archive has them so.

        A partial mirror may carry Debian's Release file without the by-hash folders; apt falls back as well.
        """
        if any(pocket.release.by_hash for pocket in pockets):
            with suppress(FetchError):
                return self._files([pocket.artifact(by_hash=pocket.release.by_hash) for pocket in pockets])
        try:
            return self._files([pocket.artifact(by_hash=False) for pocket in pockets])
        except FetchError as error:
            raise next(self._behind(pockets, error), error) from error

    def _files(self, wanted: list[Artifact]) -> list[Path]:
        found = self._context.fetcher.artifacts(wanted)
        return [found[artifact.sha256] for artifact in wanted]

    def _behind(self, pockets: list[_Pocket], error: FetchError) -> Iterator[ReleaseError]:
        """Yield an error for each mirror that was newer before and has no more what it had."""
        for pocket in pockets:
            if pocket.passed_over:
                url = f"{pocket.folder}/InRelease"
                yield ReleaseError(
                    url,
                    f"is of {_said(pocket.passed_over)}, and was of {_said(pocket.release)} before: the "
                    f"mirror is behind, or someone keeps updates back.\n  {error.message}",
                    hint="Use another mirror, or run this again later. If the mirror was put back on "
                    f"purpose, remove {place(url, self._context.cache_dir)}",
                )


def _said(release: Release) -> str:
    return f"{release.date:%Y-%m-%d %H:%M} UTC"


def _is_absent(error: FetchError, uri: str, suite: str) -> bool:
    """Tell "there is no such suite" from "the mirror did not answer"."""
    parts = urls.split(uri)
    if parts.scheme == "file":
        base = Path(url2pathname(parts.path))
        return base.parent.is_dir() and not (base / "dists" / suite / "InRelease").exists()
    return isinstance(error, StatusError) and error.gone
