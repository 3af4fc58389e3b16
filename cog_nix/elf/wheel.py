"""The programs and libraries of a wheel (PyPA binary distribution format), without unpacking it.

Of a deflated member everything up to its last needed byte is inflated (RFC 1951 knows no other way in), with
ISA-L, several members at once. Of a wheel on a server :mod:`cog_nix.elf.parts` reads less.
"""

from __future__ import annotations

import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

from isal import isal_zlib

from cog_nix.elf.dynamic import read_dynamic
from cog_nix.elf.scan import Scan, gather, is_library, may_be_elf
from cog_nix.system.platforms import AMD64, PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cog_nix.elf.dynamic import Dynamic

T = TypeVar("T")

_CHUNK = 1 << 18
_WORKERS = 4
_RAW_DEFLATE = -15
_LOCAL_HEADER = 30
_DATA = re.compile(r"^[^/]+\.data/(?P<scheme>purelib|platlib|data|scripts|headers)/(?P<rest>.*)$")
_FROM_SITE_PACKAGES = {"data": "../../../", "scripts": "../../../bin/"}


class WheelFile(Protocol):
    """A wheel, all of it or parts."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    def opened(self) -> AbstractContextManager[IO[bytes]]:
        """Return it as a file that can be sought in."""

    def expect(self, members: Sequence[zipfile.ZipInfo], texts: Sequence[zipfile.ZipInfo]) -> None:
        """Make ready for what will be read.

        Args:
            members: all that there are.
            texts: those of them that are read through the file that was opened.
        """

    def dynamic(self, info: zipfile.ZipInfo) -> Dynamic | None:
        """Return what a member tells the loader; called from several threads."""

    def chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield a member's content; called from several threads."""


@dataclass(frozen=True)
class OnDisk:
    """A wheel that was downloaded.

    Args:
        path: where it lies.
        machine: ``e_machine`` of the processor whose programs count (elf.h).
    """

    path: Path
    machine: int = AMD64.elf_machine

    @property
    def name(self) -> str:
        """See :class:`WheelFile`."""
        return str(self.path)

    def opened(self) -> AbstractContextManager[IO[bytes]]:
        """See :class:`WheelFile`."""
        return self.path.open("rb")

    def expect(self, members: Sequence[zipfile.ZipInfo], texts: Sequence[zipfile.ZipInfo]) -> None:
        """Do nothing: all of it is there."""

    def dynamic(self, info: zipfile.ZipInfo) -> Dynamic | None:
        """See :class:`WheelFile`."""
        with self._reopen(info) as reopen:
            return read_dynamic(reopen, self.machine)

    def chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """See :class:`WheelFile`."""
        with self._reopen(info) as reopen:
            yield from reopen().chunks()

    @contextmanager
    def _reopen(self, info: zipfile.ZipInfo) -> Iterator[Callable[[], Member]]:
        """Yield what opens a member from its start."""
        if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with self.path.open("rb") as file:
                yield lambda: _member(file, info)
        else:
            with zipfile.ZipFile(self.path) as archive:
                yield lambda: Member(archive.open(info), info.file_size, None)


def machine_of(filename: str) -> int:
    """Return ``e_machine`` of the processor that a wheel is for, as its tags say (PEP 425).

    Args:
        filename: of the wheel; one that says nothing is looked into for linux/amd64.
    """
    tags = filename.rpartition("-")[2]
    fitting = (one for one in PLATFORMS.values() if one.machine in tags)
    return next(fitting, AMD64).elf_machine


def scan_wheel(wheel: WheelFile, members: Iterable[zipfile.ZipInfo]) -> Scan:
    """Return what a wheel's programs and libraries need.

    Args:
        wheel: the wheel.
        members: all of them.

    Raises:
        Exception: one of :data:`cog_nix.elf.wheelfile.UNREADABLE`.
    """
    found = each_member(candidates(members), wheel.dynamic)
    return gather((installed(info.filename), dynamic) for info, dynamic in found)


def libraries_of(members: Iterable[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Return the members that are libraries by their names."""
    return [info for info in members if not info.is_dir() and is_library(info.filename)]


def candidates(members: Iterable[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Return the members that :func:`scan_wheel` reads."""
    return [info for info in members if _is_candidate(info)]


def each_member(
    members: Iterable[zipfile.ZipInfo], read: Callable[[zipfile.ZipInfo], T]
) -> list[tuple[zipfile.ZipInfo, T]]:
    """Read members of a wheel, several at once.

    Args:
        members: of it.
        read: reads one.

    Raises:
        Exception: what ``read`` raises.
    """
    # The largest first: one that starts last would run on alone.
    ordered = sorted(members, key=lambda info: -info.file_size)
    with ThreadPoolExecutor(_WORKERS) as crew:
        return list(zip(ordered, crew.map(read, ordered), strict=True))


def _is_candidate(info: zipfile.ZipInfo) -> bool:
    return not info.is_dir() and may_be_elf(info.filename, executable=bool(info.external_attr >> 16 & 0o111))


def installed(name: str) -> str:
    """Return where a member lands, as seen from ``site-packages``."""
    found = _DATA.match(name)
    return _FROM_SITE_PACKAGES.get(found["scheme"], "") + found["rest"] if found else name


def _member(file: IO[bytes], info: zipfile.ZipInfo) -> Member:
    """Return a stream of a member (APPNOTE 4.3.7); ``zipfile``'s own would also compute checksums."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER)
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    file.seek(names, 1)
    inflater = isal_zlib.decompressobj(_RAW_DEFLATE) if info.compress_type else None
    return Member(file, info.compress_size, inflater)


@dataclass
class Member:
    """A member of a zip archive, read forward."""

    file: IO[bytes]
    left: int
    """Bytes of the file that are still to be read."""
    inflater: Any
    """None: what is read is the member's content."""
    ready: bytes = field(default=b"")

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes."""
        parts = []
        while size and self._more():
            parts.append(self.ready[:size])
            self.ready = self.ready[size:]
            size -= len(parts[-1])
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Go forward."""
        while size and self._more():
            taken = min(size, len(self.ready))
            self.ready = self.ready[taken:]
            size -= taken

    def chunks(self) -> Iterator[bytes]:
        """Yield what is left."""
        while self._more():
            ready, self.ready = self.ready, b""
            yield ready

    def _more(self) -> bool:
        """Make sure that something is ready; False at the end."""
        while not self.ready and self.left:
            packed = self.file.read(min(_CHUNK, self.left))
            if not packed:
                raise EOFError("it ends in the middle of a member")
            self.left -= len(packed)
            self.ready = self.inflater.decompress(packed) if self.inflater else packed
        return bool(self.ready)
