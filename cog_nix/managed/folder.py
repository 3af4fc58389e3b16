"""A folder of this machine as a source: ``./weights``, ``file:///data/weights``."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.retry import Cancelled
from cog_nix.managed.source import Inventory, Listed, SourceError
from cog_nix.weights.blob import PIECE, Measured
from cog_nix.weights.model import File, set_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cog_nix.managed.source import Surroundings
    from cog_nix.report import Bar
    from cog_nix.weights.model import LockedLayer, LockedWeight

_STATE = ".cog"
"""Folders of this name are passed over at any depth: they hold what tools remember."""


@dataclass(frozen=True)
class FolderSource:
    """A folder.

    Args:
        uri: ``file://./…`` or ``file:///…``, as the lock has it.
        project: the folder that a relative one is in.
        around: what to work with.
    """

    uri: str
    project: Path
    around: Surroundings

    @property
    def root(self) -> Path:
        """The folder."""
        return self.project / self.uri.removeprefix("file://")

    def inventory(self, known: LockedWeight | None) -> Inventory:  # noqa: ARG002 - contents are what counts
        """Return the files of the folder, hashed on all processors.

        Raises:
            SourceError: it is not a folder, cannot be read, or holds what is neither file nor folder.
        """
        found = sorted(self._walk(), key=lambda listed: listed.path.encode())
        with self.around.reporter.bytes_bar(f"Hashing {self.uri}", sum(one.size for one in found)) as bar:
            tell = _locked(bar.advance)
            tasks = [partial(self._hashed, listed, tell) for listed in found]
            files = run_all(tasks, os.cpu_count() or 1, self.around.cancelled)
        return Inventory(tuple(files), set_digest(map(_file, files)))

    def complete(self, files: Sequence[Listed], known: LockedWeight | None) -> list[File]:  # noqa: ARG002 - as above
        """Return files with the digests that they have already."""
        return list(map(_file, files))

    def bring(self, files: Sequence[File], bar: Bar) -> dict[File, LockedLayer]:
        """Copy files into the store; each is hashed once more on its way."""
        tell = _locked(bar.advance)
        tasks = [partial(self._copy, file, tell) for file in files]
        layers = run_all(tasks, os.cpu_count() or 1, self.around.cancelled)
        return dict(zip(files, layers, strict=True))

    def _walk(self) -> Iterator[Listed]:
        if not self.root.exists():
            raise self._failure("there is no such folder")
        if not self.root.is_dir():
            raise self._failure("it is not a folder")
        for folder, names, files in os.walk(self.root, onerror=self._fail):
            names[:] = [name for name in names if name != _STATE]
            for name in (*files, *(one for one in names if Path(folder, one).is_symlink())):
                path = Path(folder, name)
                status = path.lstat()
                relative = path.relative_to(self.root).as_posix()
                if not stat.S_ISREG(status.st_mode):
                    raise self._failure(
                        f"{relative} is neither a file nor a folder", "Put a copy of the file in its place."
                    )
                try:
                    relative.encode()
                except UnicodeEncodeError as error:
                    raise self._failure(
                        f"{relative!r} is a name that is not UTF-8", "Rename the file."
                    ) from error
                yield Listed(relative, status.st_size)

    def _hashed(self, listed: Listed, advance: Callable[[int], None]) -> Listed:
        found = hashlib.sha256()
        size = 0
        for piece in self._read(listed.path):
            found.update(piece)
            size += len(piece)
            advance(len(piece))
        return replace(listed, size=size, digest=f"sha256:{found.hexdigest()}")

    def _copy(self, file: File, advance: Callable[[int], None]) -> LockedLayer:
        measured = Measured(file)

        def pieces() -> Iterator[bytes]:
            for piece in self._read(file.path):
                yield piece
                advance(len(piece))

        self.around.store.put(file.digest, file.size, pieces(), measured)
        return measured.layer()

    def _read(self, path: str) -> Iterator[bytes]:
        try:
            with (self.root / path).open("rb", buffering=0) as stream:
                while piece := stream.read(PIECE):
                    if self.around.cancelled.is_set():
                        raise Cancelled
                    yield piece
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        where = f"{error.filename}: " if error.filename else ""
        raise self._failure(f"{where}{error.strerror or error}", "Make it readable.") from error

    def _failure(self, reason: str, hint: str = "") -> SourceError:
        return SourceError(self.uri, reason, hint=hint or f"Correct its {self.around.key}.")


def _file(listed: Listed) -> File:
    return File(listed.path, listed.size, listed.digest)


def _locked(advance: Callable[[int], None]) -> Callable[[int], None]:
    """Return what moves a bar from any thread."""
    lock = threading.Lock()

    def tell(amount: int) -> None:
        with lock:
            advance(amount)

    return tell
