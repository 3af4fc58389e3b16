"""What is in a layer: its files with their sizes, and the databases that say whose they are.

A file has three sizes. On disk it takes whole blocks once it is unpacked; as stored it is a member of a tar,
header and padding included, as a Nix store, a Docker archive and ``docker save`` have it; as pulled it is its
part of the compressed tar that a registry has. Where only the tar is at hand, that part is estimated.
"""

from __future__ import annotations

import re
import tarfile
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from cog_nix.image.compression import BrokenLayerError
from cog_nix.image.databases import LARGEST
from cog_nix.image.whiteouts import hidden_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.plugins.spec import SystemDatabase

_BLOCK = 4096
"""Bytes of a block of the file systems that Docker and Podman keep layers on."""
_FED = 1 << 16
_READ = 1 << 20
_LEVEL = 1
_RATIO = 0.91
"""What a layer has as cog-nix pushes it (libdeflate, level 2), by what ISA-L's level 1 makes of it: from 0.90
to 0.92 for the layers of examples/audio-waveform."""
_DATABASES = re.compile(
    r".*-packages/[^/]+\.dist-info/(?:RECORD|METADATA)|src/cog\.yaml|src/[^/]*requirements[^/]*\.txt"
)


@dataclass(frozen=True)
class Sizes:
    """Bytes that something takes."""

    disk: int = 0
    """Unpacked, in whole blocks."""
    stored: int = 0
    """As part of a tar."""
    pulled: int = 0
    """As part of a compressed tar."""

    def __add__(self, other: Sizes) -> Sizes:
        return Sizes(self.disk + other.disk, self.stored + other.stored, self.pulled + other.pulled)


@dataclass(frozen=True)
class File:
    """A file, link or folder of a layer."""

    path: str
    """Without ``/`` in front."""
    sizes: Sizes
    folder: bool = False


@dataclass(frozen=True)
class Contents:
    """What is in a layer."""

    files: tuple[File, ...]
    """In its order."""
    databases: dict[str, bytes] = field(repr=False)
    """By path: what says whose files are, and who asked for them."""
    sizes: Sizes
    """Of all of it."""
    estimated: bool
    """Whether what is pulled is an estimate."""


def read(stream: IO[bytes], blob: int, advance: Callable[[int], None], database: SystemDatabase) -> Contents:
    """Read a layer.

    Args:
        stream: its tar.
        blob: bytes of its compressed form; 0: not known. The tar's own size counts as not known.
        advance: told the bytes that were read.
        database: of the image's system packages.

    Raises:
        BrokenLayerError: it is no tar.
    """
    meter = _Meter(stream, advance)
    members = []
    databases = {}
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", meter), mode="r|", bufsize=_READ) as tar:
            for member in tar:
                path = _text(str(PurePosixPath(member.name)))
                if member.isreg() and member.size <= LARGEST and _tells(path, database):
                    data = tar.extractfile(member)
                    databases[path] = data.read() if data else b""
                members.append((path, member.offset, member.size if member.isreg() else 0, member.isdir()))
                tar.members = []  # type: ignore[attr-defined] # it would keep all of them
        meter.drain()
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise BrokenLayerError(f"it is not a tar: {error}") from error
    total, packed = meter.total, meter.packed()
    known = blob not in {0, total}
    factor = blob / packed if known else _RATIO
    ends = [offset for _, offset, _, _ in members[1:]] + [total]
    files = tuple(
        File(
            path,
            Sizes(-(-size // _BLOCK) * _BLOCK, end - offset, round(meter.between(offset, end) * factor)),
            folder=folder,
        )
        for (path, offset, size, folder), end in zip(members, ends, strict=True)
    )
    sizes = Sizes(sum(one.sizes.disk for one in files), total, round(packed * factor))
    return Contents(files, databases, sizes, estimated=not known)


def _tells(path: str, database: SystemDatabase) -> bool:
    """Tell whether a file says whose files are, or who asked for them."""
    return path == database.index or bool(database.owner(path) or _DATABASES.fullmatch(path))


def _text(name: str) -> str:
    """Return the name of a file as text, whatever bytes it has."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _Meter:
    """A stream that is compressed while it is read, to tell what each part of it comes to."""

    def __init__(self, stream: IO[bytes], advance: Callable[[int], None]) -> None:
        from isal import isal_zlib  # noqa: PLC0415 - nothing else here needs it

        self._stream, self._advance = stream, advance
        self._compressor = isal_zlib.compressobj(_LEVEL)
        self._places, self._sizes = [0], [0]
        """Bytes of the tar, and what they came to."""
        self.total = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        for start in range(0, len(data), _FED):
            piece = data[start : start + _FED]
            self.total += len(piece)
            self._note(len(self._compressor.compress(piece)))
        self._advance(len(data))
        return data

    def _note(self, came: int) -> None:
        if came:
            self._places.append(self.total)
            self._sizes.append(self._sizes[-1] + came)

    def drain(self) -> None:
        """Read what follows the end of a tar."""
        while self.read(_READ):
            pass

    def packed(self) -> int:
        """Return what all of it came to; nothing can be read afterwards."""
        self._note(len(self._compressor.flush()))
        return self._sizes[-1]

    def between(self, start: int, end: int) -> float:
        """Return what a range of the tar came to."""
        return self._upto(end) - self._upto(start)

    def _upto(self, place: int) -> float:
        at = bisect_right(self._places, place)
        if at == len(self._places):
            return self._sizes[-1]
        before, after = self._places[at - 1], self._places[at]
        part = (place - before) / (after - before)
        return self._sizes[at - 1] + part * (self._sizes[at] - self._sizes[at - 1])


def hidden(layers: list[Contents]) -> Iterator[tuple[int, File]]:
    """Yield the files that layers above replace or remove, with the number of their layer."""
    seen: dict[str, None] = {}
    gone: set[str] = set()
    for number in reversed(range(len(layers))):
        files = layers[number].files
        for one in files:
            if not one.folder and (one.path in seen or _below(one.path, gone)):
                yield number, one
        for one in files:
            if (mark := hidden_by(one.path)) is not None:
                gone.add(mark)
            elif not one.folder:
                seen[one.path] = None


def _below(path: str, folders: set[str]) -> bool:
    """Whether a path is one of some, or in one of them."""
    if not folders:
        return False
    parts = path.split("/")
    return any("/".join(parts[:count]) in folders for count in range(1, len(parts) + 1))
