"""What every archive is, wherever it is kept."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from cog_nix.archive.errors import UnusableArchiveError
from cog_nix.store.objects import StoreObject
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import mapping_of, text_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.fetch.store import Store
    from cog_nix.lock.model import Artifact
    from cog_nix.report import Bar, Reporter

NAME = "archive.json"
"""Name of the file that makes a folder an archive."""
_FORMAT = 2
_WITHOUT_PACKAGES = 1
"""The format of an archive that has nothing of Nix packages."""
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Header:
    """What an archive says of itself; its files go by their hashes alone."""

    programs: Mapping[str, str] = field(default_factory=dict)
    """Records of programs whose files are there (the hook ``recall_programs``), by name."""
    flakes: Mapping[str, str] = field(default_factory=dict)
    """What the sources of a flake do not tell (revision, time), as the query of a URL; by the lock's name."""
    objects: Mapping[str, StoreObject] = field(default_factory=dict)
    """Store paths whose Nix archives are there, by name."""

    def dump(self) -> bytes:
        """Return it as the text of its file."""
        known: dict[str, object] = {
            "format": _WITHOUT_PACKAGES,
            "programs": dict(sorted(self.programs.items())),
        }
        if self.flakes or self.objects:
            objects = {name: one.document() for name, one in sorted(self.objects.items())}
            known |= {"format": _FORMAT, "flakes": dict(sorted(self.flakes.items())), "objects": objects}
        return json.dumps(known, indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes, title: str) -> Self:
        """Read what :meth:`dump` wrote.

        Args:
            data: the text.
            title: of the archive, for messages.

        Raises:
            UnusableArchiveError: it is something else, or of a later version.
        """
        try:
            known = mapping_of(jsonvalue.loads(data))
            if known["format"] not in (_WITHOUT_PACKAGES, _FORMAT):
                hint = "Use the version of cog-nix that made it, or a newer one."
                raise UnusableArchiveError(title, f"it has format {known['format']}", hint=hint)
            objects = mapping_of(known.get("objects", {}))
            found = cls(
                _texts(known["programs"]),
                _texts(known.get("flakes", {})),
                {name: StoreObject.parse(name, said) for name, said in objects.items()},
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableArchiveError(title, f"{NAME} is damaged: {error}") from error
        return found

    def __or__(self, other: Header) -> Self:
        """Return one that says what the other does as well."""
        known = {name: self.objects.get(name, one) | one for name, one in other.objects.items()}
        return type(self)(
            {**self.programs, **other.programs}, {**self.flakes, **other.flakes}, {**self.objects, **known}
        )


def _texts(value: object) -> dict[str, str]:
    return {name: text_of(text) for name, text in mapping_of(value).items()}


class Archive(Protocol):
    """Holds files by their hash. Reading and writing, each file's hash is computed."""

    @property
    def title(self) -> str:
        """What people know it by."""

    @property
    def header(self) -> Header:
        """What it says of itself."""

    def holds(self, sha256: str) -> bool:
        """Whether it has a file of this hash."""

    def damaged(self, files: Sequence[Artifact]) -> Collection[str]:
        """Read those files that are held; return the hashes of those that are not what they should be.

        Raises:
            UnusableArchiveError: it cannot be read.
            RegistryError: its registry refuses, or cannot be reached.
        """

    def supply(self, wanted: Sequence[Artifact], store: Store) -> Collection[str]:
        """Bring those files into the cache that are held, as :class:`cog_nix.fetch.origins.Supplier` does.

        A file that is damaged counts as one that is not held.

        Raises:
            UnusableArchiveError: it cannot be read.
            RegistryError: its registry refuses, or cannot be reached.
        """

    def add(self, files: Sequence[tuple[Artifact, Path]], header: Header) -> int:
        """Add files that are not held or are damaged, and take over what is said of them.

        Returns:
            Bytes of files that had to be written. A registry may have had them for others.

        Raises:
            UnusableArchiveError: it cannot be written; it is as it was.
            RegistryError: its registry refuses, or cannot be reached. What was uploaded stays there.
        """


def pieces(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file."""
    with path.open("rb", buffering=0) as stream:
        while piece := stream.read(_CHUNK):
            yield piece


class LocalArchive(ABC):
    """An archive that is a path of this machine.

    Args:
        path: where it is.
        reporter: shows what is copied, and hears of damaged files.
    """

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self._path, self._reporter = path, reporter

    @property
    def title(self) -> str:
        """Its path."""
        return str(self._path)

    @abstractmethod
    def holds(self, sha256: str) -> bool:
        """Whether it has a file of this hash."""

    @abstractmethod
    def _pieces(self, sha256: str) -> Iterable[bytes]:
        """Return the bytes of a file that is held."""

    def damaged(self, files: Sequence[Artifact]) -> list[str]:
        """Read those files that are held; return the hashes of those that are damaged."""
        found = []
        with self._reading("Reading", files) as (held, bar):
            for one in held:
                digest = hashlib.sha256()
                for piece in self._pieces(one.sha256):
                    digest.update(piece)
                if digest.hexdigest() != one.sha256:
                    found.append(one.sha256)
                bar.advance(one.size)
        return found

    def supply(self, wanted: Sequence[Artifact], store: Store) -> list[str]:
        """Copy those files into the cache that are held."""
        found = []
        with self._reading("Copying from", wanted) as (held, bar):
            for one in held:
                if store.put(one.sha256, _told(self._pieces(one.sha256), bar)):
                    found.append(one.sha256)
                else:
                    self._reporter.warn(damage(one, self.title))
        return found

    @contextmanager
    def _reading(self, what: str, files: Sequence[Artifact]) -> Iterator[tuple[list[Artifact], Bar]]:
        """Yield those files that are held, and a bar for their bytes.

        Raises:
            UnusableArchiveError: one cannot be read, or its copy not be written.
        """
        held = [one for one in files if self.holds(one.sha256)]
        try:
            with self._reporter.bytes_bar(f"{what} {self.title}", sum(one.size for one in held)) as bar:
                yield held, bar
        except OSError as error:
            raise UnusableArchiveError(self.title, error.strerror or str(error)) from error


def _told(pieces: Iterable[bytes], bar: Bar) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        bar.advance(len(piece))


def damage(artifact: Artifact, title: str) -> str:
    """Return what is said of a damaged file of an archive."""
    cure = f"cog-nix archive --check {title}"
    return f"{artifact.filename} is damaged in {title}: sha256 {artifact.sha256}. `{cure}` replaces it"
