"""An archive that is one file: a tar of what the folder would have, sorted, without times and owners.

It grows by being written anew beside itself, every member's hash computed on the way; so the same members
make the same bytes, and a cut leaves the old file.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from typing import TYPE_CHECKING, BinaryIO

from cog_nix.archive.errors import UnusableArchiveError
from cog_nix.archive.model import NAME, Header, LocalArchive, pieces
from cog_nix.system.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Artifact
    from cog_nix.report import Reporter

_MEMBER = re.compile(r"sha256/[0-9a-f]{2}/([0-9a-f]{64})")
_CHUNK = 1 << 20
_END = bytes(2 * tarfile.BLOCKSIZE)


class FileArchive(LocalArchive):
    """One file.

    Args:
        path: where it is.
        reporter: shows what is copied, and hears of damaged members.
        new: whether it may be one that is still to be made.

    Raises:
        UnusableArchiveError: it is something else, or cannot be read.
    """

    def __init__(self, path: Path, reporter: Reporter, *, new: bool = False) -> None:
        super().__init__(path, reporter)
        self._members: dict[str, tuple[int, int]] = {}
        self.header = Header()
        if not new or path.exists():
            self._read()

    def holds(self, sha256: str) -> bool:
        """Whether it has a file of this hash."""
        return sha256 in self._members

    def add(self, files: Sequence[tuple[Artifact, Path]], header: Header) -> int:
        """Write the file anew, with these files as well; return their bytes."""
        merged = self.header | header
        if not files and merged == self.header and self._members:
            return 0
        new = {artifact.sha256: (path.stat().st_size, path) for artifact, path in files}
        sizes = {sha256: size for sha256, (_, size) in self._members.items()}
        sizes |= {sha256: size for sha256, (size, _) in new.items()}
        try:
            with (
                replacing(self._path) as stream,
                tarfile.TarFile(
                    fileobj=stream, mode="w", format=tarfile.GNU_FORMAT, copybufsize=_CHUNK
                ) as tar,
                self._reporter.bytes_bar(f"Writing {self.title}", sum(sizes.values())) as bar,
            ):
                text = merged.dump()
                tar.addfile(_member(NAME, len(text)), io.BytesIO(text))
                for sha256, size in sorted(sizes.items()):
                    source = pieces(new[sha256][1]) if sha256 in new else self._pieces(sha256)
                    reader = _Reader(source, bar.advance)
                    tar.addfile(_member(f"sha256/{sha256[:2]}/{sha256}", size), reader)
                    if reader.digest.hexdigest() != sha256:
                        raise UnusableArchiveError(self.title, f"what should be sha256 {sha256} is not")
        except OSError as error:
            hint = "Free some space or fix the permissions; the file is as it was."
            raise UnusableArchiveError(self.title, str(error.strerror or error), hint=hint) from error
        self._read()
        return sum(size for size, _ in new.values())

    def _read(self) -> None:
        """Find where in the file everything is."""
        begun = False
        try:
            with self._path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
                first = tar.next()
                text = tar.extractfile(first) if first and first.name == NAME else None
                if text is None:
                    raise UnusableArchiveError(self.title, f"it does not begin with {NAME}")
                self.header = Header.parse(text.read(), self.title)
                begun = True
                self._members = {
                    named[1]: (one.offset_data, one.size)
                    for one in tar
                    if one.isreg() and (named := _MEMBER.fullmatch(one.name))
                }
                self._check_end(stream)
        except tarfile.TarError as error:
            if begun:
                raise self._cut_off() from error
            hint = "Name a file that `cog-nix archive` made."
            raise UnusableArchiveError(self.title, f"it is not a tar: {error}", hint=hint) from error
        except OSError as error:
            raise UnusableArchiveError(self.title, error.strerror or str(error)) from error

    def _check_end(self, stream: BinaryIO) -> None:
        """Refuse a file that was cut off: a tar ends with two blocks of zeros (POSIX.1, pax)."""
        end = stream.seek(0, io.SEEK_END)
        stream.seek(max(0, end - len(_END)))
        if stream.read() != _END or any(offset + size > end for offset, size in self._members.values()):
            raise self._cut_off()

    def _cut_off(self) -> UnusableArchiveError:
        return UnusableArchiveError(self.title, "its end is missing", hint="Copy it here again.")

    def _pieces(self, sha256: str) -> Iterator[bytes]:
        offset, left = self._members[sha256]
        with self._path.open("rb", buffering=0) as stream:
            stream.seek(offset)
            while left and (piece := stream.read(min(_CHUNK, left))):
                left -= len(piece)
                yield piece


class _Reader(io.RawIOBase):
    """Pieces as tarfile reads them, hashed on their way."""

    def __init__(self, source: Iterable[bytes], advance: Callable[[int], None]) -> None:
        self.digest = hashlib.sha256()
        self._source, self._advance, self._rest = iter(source), advance, b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (piece := next(self._source, b"")):
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        self.digest.update(found)
        self._advance(len(found))
        return found


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info
