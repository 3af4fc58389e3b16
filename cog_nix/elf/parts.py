"""A wheel on a server, of which only what is looked at is fetched."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, cast

from cog_nix.elf.dynamic import dynamic_of
from cog_nix.elf.ends import BothEnds
from cog_nix.elf.facts import Depth, read_facts
from cog_nix.elf.sections import without_text
from cog_nix.elf.wheel import candidates, each_member, libraries_of, machine_of
from cog_nix.errors import LockError
from cog_nix.fetch.ranges import NoPartsError, PartsFile
from cog_nix.fetch.urls import filename_of

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator, Sequence

    from cog_nix.elf.dynamic import Dynamic
    from cog_nix.elf.facts import Facts
    from cog_nix.fetch.ranges import Parts

_END = 1 << 16
"""Bytes of a file's end that come first: all of a small directory, and often what stands before it."""
_AHEAD = 1 << 16
_PIECE = 1 << 23
"""Bytes of a member at once."""
_SMALL = 1 << 17
"""Bytes of a packed member that is fetched whole (see :mod:`cog_nix.elf.ends`)."""
_LARGE = 1 << 22
"""Bytes of a packed member that is worth the requests to see which part of it need not be read."""
_MOST_BEHIND = 1 << 27
"""Bytes of a member, inflated, that may stand behind the part that is left out: they are kept in memory."""
_SHARE = 0.3
"""Of a larger member, as far as one can tell before: torch's need 5 % to 30 %."""


def read_parts(parts: Parts, depth: Depth, *, most: float = 0.5) -> Facts:
    """Read a wheel.

    Args:
        parts: of the wheel.
        depth: how much to read.
        most: how much of the file is worth fetching in parts.

    Raises:
        NoPartsError: they cannot be had, are damaged, or come to more than that.
    """
    wheel = _OnServer(parts, depth, most)
    try:
        return read_facts(wheel, depth)
    except LockError as error:
        raise NoPartsError(error.message) from error


@dataclass
class _OnServer:
    parts: Parts
    depth: Depth
    most: float
    _file: PartsFile = field(init=False)
    _left_out: dict[str, range] = field(default_factory=dict)
    """The part of a member, by its name, in which no text stands."""

    def __post_init__(self) -> None:
        self._file = PartsFile(self.parts, _AHEAD)

    @property
    def name(self) -> str:
        return filename_of(self.parts.url)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        self._file.prefetch(max(self.parts.size - _END, 0), _END)
        yield cast("IO[bytes]", self._file)

    def expect(self, members: Sequence[zipfile.ZipInfo], texts: Sequence[zipfile.ZipInfo]) -> None:
        if self.depth is Depth.TEXT:
            large = [info for info in libraries_of(members) if info.compress_size > _LARGE]
            found = each_member(large, self._without_text)
            self._left_out = {info.filename: left_out for info, left_out in found if left_out}
        if self._cost(members) > self.most * self.parts.size:
            raise NoPartsError("most of it would be fetched")
        for info in texts:
            self._file.prefetch(info.header_offset, _packed(info))

    def _without_text(self, info: zipfile.ZipInfo) -> range:
        try:
            found = without_text(BothEnds(self.parts, info))
        except NoPartsError:  # its section headers are too far from where its end can be read
            return range(0)
        return found if 0 <= info.file_size - found.stop <= _MOST_BEHIND else range(0)

    def dynamic(self, info: zipfile.ZipInfo) -> Dynamic | None:
        return dynamic_of(BothEnds(self.parts, info), machine_of(self.name))

    def chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        member, left_out = BothEnds(self.parts, info), self._left_out.get(info.filename)
        yield from member.around(left_out, _PIECE) if left_out else member.chunks(_PIECE)

    def _cost(self, members: Sequence[zipfile.ZipInfo]) -> int:
        """Return about how many bytes reading members takes."""
        if self.depth is Depth.FILES:
            return 0
        if self.depth is Depth.TEXT:
            return sum(map(self._read_through, libraries_of(members)))
        return sum(_some(_packed(info)) for info in candidates(members))

    def _read_through(self, info: zipfile.ZipInfo) -> int:
        left_out = self._left_out.get(info.filename, range(0))
        return int(_packed(info) * (1 - len(left_out) / max(info.file_size, len(left_out), 1)))


def _some(size: int) -> int:
    return size if size <= _SMALL else max(_SMALL, int(size * _SHARE))


def _packed(info: zipfile.ZipInfo) -> int:
    return info.compress_size + len(info.orig_filename.encode()) + 128
