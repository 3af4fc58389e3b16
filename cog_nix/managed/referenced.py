"""Files that cog-nix.toml names by URL: fetched, held to what they were at first, and put in their place.

It is what ``curl`` and ``pget`` in a ``run:`` command do, but for this: what came at first sight stands in
the lock, and another file is refused. All of them are in the store of weights. One that belongs in the
project's folder is put there, where a build finds it as it finds any large file; one that goes elsewhere in
the image is handed to Nix from there, and one that is mounted stays there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import posixpath
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError, FetchError
from cog_nix.fetch import urls
from cog_nix.fetch.failures import WrongFileError
from cog_nix.lock.model import Artifact, ReferencedFile
from cog_nix.managed.hub import HubSource
from cog_nix.managed.source import SourceError
from cog_nix.managed.url import UrlSource
from cog_nix.system import scratch
from cog_nix.system.files import UnwritableError
from cog_nix.system.state import recall, remember
from cog_nix.weights.model import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from cog_nix.config.model import Project, WeightFile
    from cog_nix.managed.source import Surroundings
    from cog_nix.weights.store import WeightsStore

_HUB = "hf://"
_PIECE = 1 << 20
_FICLONE = 0x40049409
"""linux/fs.h"""


class ChangedFileError(ConfigError):
    """A file is not the one that it was, or that it should be.

    Args:
        what: names it.
        expected: sha256 that it has to have.
        got: what it has: ``sha256 …`` or ``… bytes``.
        hint: what to do next.
    """

    def __init__(self, what: str, expected: str, got: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.what, self.expected, self.got = what, expected, got

    def __str__(self) -> str:
        return f"{self.what} has changed:\n  expected  sha256 {self.expected}\n  got       {self.got}"


class NotFetchedError(FetchError):
    """A file is not here, and nothing may be fetched."""

    def __init__(self, path: str, url: str) -> None:
        super().__init__(hint="Build once with the network; what has come is kept.")
        self.path, self.url = path, url

    def __str__(self) -> str:
        return f"{self.path} is not here, and nothing may be fetched: {urls.shown(self.url)}"


def ensure(
    project: Project,
    wanted: Sequence[WeightFile],
    locked: Sequence[ReferencedFile],
    around: Surroundings,
    *,
    offline: bool = False,
    moving: Iterable[str] = (),
) -> tuple[ReferencedFile, ...]:
    """Have all files in their places.

    Args:
        project: the folder that they go into.
        wanted: as cog-nix.toml has them.
        locked: what the lock says of them.
        around: what to work with.
        offline: whether nothing may be fetched.
        moving: paths of those that may be other files than they were.

    Returns:
        What the lock has to say of them.

    Raises:
        ChangedFileError: one is not what it was, or should be.
        CogNixError: one cannot be had or put in its place.
    """
    around = replace(around, key="`url` in cog-nix.toml")
    free = frozenset(moving)
    known = {(one.path, one.url): one for one in locked if one.path not in free}
    elsewhere = {one.url: one for one in known.values()}
    paths = {one.path for one in locked}
    found = []
    for file in sorted(wanted, key=lambda one: one.path):
        before = known.get((file.path, file.url))
        if file.path not in paths:  # it had another place, or has a second one now
            before = elsewhere.get(file.url)
        if before and file.sha256 and before.sha256 != file.sha256:
            before = None  # whoever writes another one means it
        placed = tuple(one.sha256 for one in locked if one.path == file.path)
        found.append(_Wanted(project, file, before, placed, around, offline=offline).ensure())
    return tuple(found)


def in_the_image(files: Iterable[ReferencedFile]) -> list[Artifact]:
    """Return the files that Nix puts into the image: all but those in the project's folder.

    ``nix/layers/files.nix`` takes them from the lock by the same rule.
    """
    return [
        Artifact(posixpath.basename(one.path), one.url, one.sha256, one.size)
        for one in files
        if not one.mount and one.path.startswith("/")
    ]


def mounted(files: Iterable[ReferencedFile], store: WeightsStore) -> tuple[tuple[Path, str], ...]:
    """Return what containers mount of files by reference.

    Raises:
        NotFetchedError: the store lacks one; a build brings it back.
    """
    found = []
    for one in files:
        if one.mount:
            path = store.held(f"sha256:{one.sha256}", one.size)
            if path is None:
                raise NotFetchedError(one.path, one.url)
            found.append((path, posixpath.join("/src", one.path)))
    return tuple(found)


@dataclass(frozen=True)
class _Wanted:
    """One file on its way to its place."""

    project: Project
    file: WeightFile
    before: ReferencedFile | None
    """What the lock says of it."""
    placed: tuple[str, ...]
    """What was put in its place so far, which may be replaced: sha256."""
    around: Surroundings
    offline: bool

    @property
    def place(self) -> Path | None:
        """Where it goes in the project; None: elsewhere."""
        elsewhere = self.file.mount or self.file.path.startswith("/")
        return None if elsewhere else self.project.root / self.file.path

    def ensure(self) -> ReferencedFile:
        """Have it in its place; return what the lock says of it."""
        if self.before and self.place and (found := self._in_place(self.place)):
            if found != self.before.sha256:
                raise self._edited(self.before.sha256, found)
            return self._locked(self.before.sha256, self.before.size)
        digest, size = self._held() or self._fetch()
        if self.place:
            self._put(self.place, digest)
        return self._locked(digest, size)

    def _locked(self, sha256: str, size: int) -> ReferencedFile:
        commit = self._source.commit if isinstance(self._source, HubSource) else ""
        return ReferencedFile(self.file.path, self.file.url, sha256, size, commit, self.file.mount)

    def _held(self) -> tuple[str, int] | None:
        """Return sha256 and size, where both are known and the store has the file."""
        store = self.around.store
        if self.before:
            held = store.held(f"sha256:{self.before.sha256}", self.before.size)
            return (self.before.sha256, self.before.size) if held else None
        if not self.file.sha256 or self.file.url.startswith(
            _HUB
        ):  # a hub is asked for the commit in any case
            return None
        path = store.path(f"sha256:{self.file.sha256}")
        return (self.file.sha256, path.stat().st_size) if path.exists() else None

    def _fetch(self) -> tuple[str, int]:
        """Have it in the store; return sha256 and size."""
        if self.offline:
            raise NotFetchedError(self.file.path, self.file.url)
        file = (
            File(self._name, self.before.size, f"sha256:{self.before.sha256}")
            if self.before
            else self._look()
        )
        if not self.around.store.held(file.digest, file.size):
            with self.around.reporter.bytes_bar(f"Fetching {file.path}", file.size) as bar:
                try:
                    self._source.bring([file], bar)
                except WrongFileError as error:
                    raise self._changed(error.artifact.sha256, error.got) from error
        return file.digest.removeprefix("sha256:"), file.size

    def _look(self) -> File:
        """Return what the source has now."""
        offered = self._source.inventory(None).files
        listed = next((one for one in offered if one.path == self._name), None)
        if listed is None:
            hint = f"Correct its {self.around.key}."
            raise SourceError(self.file.url, "the repository has no such file", hint=hint)
        (file,) = self._source.complete([listed], None)
        found = file.digest.removeprefix("sha256:")
        if self.file.sha256 and self.file.sha256 != found:
            raise self._changed(self.file.sha256, f"sha256 {found}")
        return file

    @cached_property
    def _source(self) -> HubSource | UrlSource:
        if not self.file.url.startswith(_HUB):
            return UrlSource(self.file.url, self.around)
        repository = self.file.url.removesuffix(f"/{self._name}")
        return HubSource(repository, self.around, self.before.commit if self.before else "")

    @property
    def _name(self) -> str:
        """What the source calls it."""
        if self.file.url.startswith(_HUB):
            return self.file.url.removeprefix(_HUB).split("/", 2)[2]
        return urls.filename_of(self.file.url)

    def _changed(self, expected: str, got: str) -> ChangedFileError:
        hint = f"If the second is meant:  cog-nix lock --upgrade {self.file.path}"
        if self.file.sha256:
            hint = "cog-nix.toml has the first: correct `sha256` there if the second is meant."
        return ChangedFileError(
            f"{self.file.path} from {urls.shown(self.file.url)}", expected, got, hint=hint
        )

    def _edited(self, expected: str, got: str) -> ChangedFileError:
        return ChangedFileError(
            f"{self.file.path}, which cog-nix.toml has from {urls.shown(self.file.url)},",
            expected,
            f"sha256 {got}",
            hint=f"Remove {self.file.path} to have the first, or take it out of cog-nix.toml.",
        )

    def _in_place(self, place: Path) -> str:
        """Return the sha256 of what is in its place; "" for nothing. What was hashed once is remembered."""
        try:
            status = place.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        key = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        mark = self._mark()
        kept = recall(mark).split()
        if kept[1:] == list(map(str, key)):
            return kept[0]
        with place.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        remember(mark, " ".join([digest, *map(str, key)]))
        return digest

    def _mark(self) -> Path:
        name = hashlib.sha256(self.file.path.encode()).hexdigest()[:16]
        return self.project.state_dir / "files" / name

    def _put(self, place: Path, sha256: str) -> None:
        """Copy it from the store; what somebody else has put there stays."""
        stored = self.around.store.path(f"sha256:{sha256}")
        found = self._in_place(place)
        if found == sha256:
            return
        if found and found not in self.placed:
            raise self._edited(sha256, found)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with scratch.beside(place) as new:
                _copy(stored, new)
                new.replace(place)
        except OSError as error:
            raise UnwritableError(place, error) from error
        self._in_place(place)


def _copy(source: Path, target: Path) -> None:
    """Copy a file: a clone (ioctl_ficlonerange(2)) where there can be one."""
    with source.open("rb") as reading, target.open("xb") as writing:
        try:
            fcntl.ioctl(writing, _FICLONE, reading.fileno())
        except OSError:
            shutil.copyfileobj(reading, writing, _PIECE)
        writing.flush()
        os.fsync(writing.fileno())
        os.fchmod(writing.fileno(), 0o644)
