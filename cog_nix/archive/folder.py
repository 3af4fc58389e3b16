"""An archive that is a folder, which projects may share: ``archive.json`` and ``sha256/ab/HEX``.

It is laid out as the cache of downloads is, so a web server that has it is a place to fetch from as well
(:func:`cog_nix.archive.place.alternatives`).
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cog_nix.archive.errors import UnusableArchiveError
from cog_nix.archive.model import NAME, Header, LocalArchive, pieces
from cog_nix.fetch.store import Store
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Artifact
    from cog_nix.report import Reporter

_FILES, _LOCK = "sha256", ".lock"


class FolderArchive(LocalArchive):
    """A folder.

    Args:
        root: where it is.
        reporter: shows what is copied, and hears of damaged files.
        new: whether it may be one that is still to be made.

    Raises:
        UnusableArchiveError: it is something else, or cannot be read.
    """

    def __init__(self, root: Path, reporter: Reporter, *, new: bool = False) -> None:
        super().__init__(root, reporter)
        self._store = Store(root / _FILES)
        self.header = self._read(new=new)

    def holds(self, sha256: str) -> bool:
        """Whether it has a file of this hash."""
        return self._store.path(sha256).is_file()

    def add(self, files: Sequence[tuple[Artifact, Path]], header: Header) -> int:
        """Copy files that are not held; return their bytes."""
        total = sum(path.stat().st_size for _, path in files)
        try:
            with self._alone(), self._reporter.bytes_bar(f"Copying to {self.title}", total) as bar:
                # Others may have written to it meanwhile.
                self.header = self._read(new=True) | header
                for artifact, path in files:
                    if not self._store.put(artifact.sha256, pieces(path)):
                        raise UnusableArchiveError(self.title, f"{artifact.filename} is not what is locked")
                    bar.advance(artifact.size)
                write_atomically(self._path / NAME, self.header.dump())
        except OSError as error:
            hint = "Free some space or fix the permissions; what was copied is kept."
            raise UnusableArchiveError(self.title, str(error.strerror), hint=hint) from error
        return total

    def _pieces(self, sha256: str) -> Iterator[bytes]:
        return pieces(self._store.path(sha256))

    def _read(self, *, new: bool) -> Header:
        try:
            return Header.parse((self._path / NAME).read_bytes(), self.title)
        except FileNotFoundError:
            if new and self._is_ours_to_make():
                return Header()
            other = ", or one that is empty or still to be made" if new else ""
            hint = f"Name a folder that `cog-nix archive` made{other}."
            raise UnusableArchiveError(self.title, f"it has no {NAME}", hint=hint) from None
        except OSError as error:
            raise UnusableArchiveError(self.title, str(error.strerror)) from error

    def _is_ours_to_make(self) -> bool:
        """Whether nothing is there, or what was left of one whose making was cut off."""
        return not self._path.is_dir() or {one.name for one in self._path.iterdir()} <= {_LOCK, _FILES}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from writing to it at the same time."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnusableArchiveError(
                self.title, str(error.strerror), hint="Name another folder."
            ) from error
        with (self._path / _LOCK).open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield
