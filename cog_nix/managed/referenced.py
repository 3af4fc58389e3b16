"""Files that cog-nix.toml names by URL: fetched, held to what they were at first, and put in their place.

It is what ``curl`` and ``pget`` in a ``run:`` command do, but for this: what came at first sight stands in
the lock, and another file is refused. A file for the image goes into the project, where a build finds it as it
finds any large file; one that is mounted stays in the store of weights.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError, FetchError
from cog_nix.fetch import urls
from cog_nix.fetch.download import download_all
from cog_nix.fetch.failures import WrongFileError
from cog_nix.fetch.store import Store
from cog_nix.fetch.transport import Transport
from cog_nix.lock.model import Artifact, ReferencedFile
from cog_nix.managed.downloads import Take
from cog_nix.managed.hub import HubSource
from cog_nix.managed.source import SourceError
from cog_nix.system import scratch
from cog_nix.system.files import UnwritableError
from cog_nix.system.state import recall, remember
from cog_nix.weights.model import File

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.config.model import Project, WeightFile
    from cog_nix.managed.source import Surroundings

_HUB = "hf://"
_PIECE = 1 << 20
_FICLONE = 0x40049409
"""linux/fs.h"""


class ChangedFileError(ConfigError):
    """A file is not the one that it was, or that it should be.

    Args:
        what: names it.
        expected: sha256 that it has to have.
        got: sha256 that it has.
        hint: what to do next.
    """

    def __init__(self, what: str, expected: str, got: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.what, self.expected, self.got = what, expected, got

    def __str__(self) -> str:
        return f"{self.what} has changed:\n  expected  sha256 {self.expected}\n  got       sha256 {self.got}"


def ensure(
    project: Project,
    wanted: Sequence[WeightFile],
    locked: Sequence[ReferencedFile],
    around: Surroundings,
    *,
    offline: bool = False,
) -> tuple[ReferencedFile, ...]:
    """Have all files in their places.

    Args:
        project: the folder that they go into.
        wanted: as cog-nix.toml has them.
        locked: what the lock says of them.
        around: what to work with.
        offline: whether nothing may be fetched.

    Returns:
        What the lock has to say of them.

    Raises:
        ChangedFileError: one is not what it was, or should be.
        CogNixError: one cannot be had or put in its place.
    """
    known = {(one.path, one.url): one for one in locked}
    found = []
    for file in sorted(wanted, key=lambda one: one.path):
        before = known.get((file.path, file.url))
        if before and file.sha256 and before.sha256 != file.sha256:
            before = None  # whoever writes another one means it
        placed = tuple(one.sha256 for one in locked if one.path == file.path)
        found.append(_Wanted(project, file, before, placed, around, offline=offline).ensure())
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
    def place(self) -> Path:
        """Where it goes in the project."""
        return self.project.root / self.file.path

    @property
    def expected(self) -> str:
        """The sha256 that it has to have; "": whatever comes at first sight."""
        return self.file.sha256 or (self.before.sha256 if self.before else "")

    def ensure(self) -> ReferencedFile:
        """Have it in its place; return what the lock says of it."""
        if self.before and not self.file.mount and (found := self._in_place()):
            if found != self.before.sha256:
                raise self._edited(self.before.sha256, found)
            return self.before
        locked = self._held() or self._fetch()
        if not self.file.mount:
            self._put(locked)
        return locked

    def _held(self) -> ReferencedFile | None:
        """Return what the lock has to say of it, where the store has it already."""
        if self.before:
            held = self.around.store.held(f"sha256:{self.before.sha256}", self.before.size)
            return self.before if held else None
        if not self.file.sha256 or self.file.url.startswith(_HUB):
            return None
        path = self.around.store.path(f"sha256:{self.file.sha256}")
        if not path.exists():
            return None
        return ReferencedFile(self.file.path, self.file.url, self.file.sha256, path.stat().st_size)

    def _fetch(self) -> ReferencedFile:
        if self.offline:
            raise FetchError(
                f"{self.file.path} is not here, and nothing may be fetched: {urls.shown(self.file.url)}",
                hint="Build once with the network; what has come is kept.",
            )
        found = self._from_hub() if self.file.url.startswith(_HUB) else self._from_url()
        if self.expected and found.sha256 != self.expected:
            raise self._changed(found.sha256)
        return found

    def _from_url(self) -> ReferencedFile:
        url, name = self.file.url, urls.filename_of(self.file.url)
        with Transport() as transport:
            transport.prepare()
            if not self.before:
                with self.around.reporter.bytes_bar(f"Fetching {name}", None) as bar:
                    digest, size = Take(url, transport, self.around, bar.advance).run()
                return ReferencedFile(self.file.path, url, digest.removeprefix("sha256:"), size)
            artifact = Artifact(name, url, self.before.sha256, self.before.size)
            with self.around.reporter.bytes_bar(f"Fetching {name}", artifact.size) as bar:
                try:
                    download_all(
                        [artifact],
                        Store(self.around.store.files),
                        transport,
                        self.around.policy,
                        workers=1,
                        cancelled=self.around.cancelled,
                        bar=bar,
                    )
                except WrongFileError as error:
                    raise self._changed(error.got.removeprefix("sha256 ").partition(",")[0]) from error
        return self.before

    def _from_hub(self) -> ReferencedFile:
        repository, _, path = self._parts()
        source = HubSource(repository, self.around, self.before.commit if self.before else "")
        if self.before:
            file = File(path, self.before.size, f"sha256:{self.before.sha256}")
        else:
            listed = next((one for one in source.inventory(None).files if one.path == path), None)
            if listed is None:
                raise SourceError(self.file.url, "the repository has no such file", hint="Correct its path.")
            (file,) = source.complete([listed], None)
        if not self.around.store.held(file.digest, file.size):
            with self.around.reporter.bytes_bar(f"Fetching {path}", file.size) as bar:
                source.bring([file], bar)
        digest = file.digest.removeprefix("sha256:")
        return ReferencedFile(self.file.path, self.file.url, digest, file.size, source.commit)

    def _parts(self) -> tuple[str, str, str]:
        """Return the repository with its revision, a slash, and the path in it."""
        organisation, _, rest = self.file.url.removeprefix(_HUB).partition("/")
        name, slash, path = rest.partition("/")
        return f"{_HUB}{organisation}/{name}", slash, path

    def _changed(self, got: str) -> ChangedFileError:
        where = "cog-nix.toml" if self.file.sha256 else self.project.lock_path.name
        return ChangedFileError(
            f"{self.file.path} from {urls.shown(self.file.url)}",
            self.expected,
            got,
            hint=f"{where} has the first. If the second is meant, write sha256 = {json.dumps(got)} beside its url.",
        )

    def _edited(self, expected: str, got: str) -> ChangedFileError:
        return ChangedFileError(
            f"{self.file.path}, which cog-nix.toml has from {urls.shown(self.file.url)},",
            expected,
            got,
            hint=f"Remove {self.file.path} to have the first, or take it out of cog-nix.toml.",
        )

    def _in_place(self) -> str:
        """Return the sha256 of what is in its place; "" for nothing. What was hashed once is remembered."""
        try:
            status = self.place.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        key = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        mark = self._mark()
        kept = recall(mark).split()
        if kept[1:] == list(map(str, key)):
            return kept[0]
        with self.place.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        remember(mark, " ".join([digest, *map(str, key)]))
        return digest

    def _mark(self) -> Path:
        name = hashlib.sha256(self.file.path.encode()).hexdigest()[:16]
        return self.project.state_dir / "files" / name

    def _put(self, locked: ReferencedFile) -> None:
        """Copy it from the store; what somebody else has put there stays."""
        place, stored = self.place, self.around.store.path(f"sha256:{locked.sha256}")
        found = self._in_place()
        if found == locked.sha256:
            return
        if found and found not in self.placed:
            raise self._edited(locked.sha256, found)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with scratch.beside(place) as new:
                _copy(stored, new)
                new.replace(place)
        except OSError as error:
            raise UnwritableError(place, error) from error
        self._in_place()


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
