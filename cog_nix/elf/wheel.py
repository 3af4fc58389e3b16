"""The programs and libraries of a wheel (PyPA binary distribution format), without unpacking it.

Of a deflated member everything up to its last needed byte is inflated (RFC 1951 knows no other way in), with
ISA-L, several members at once. The result is kept: a wheel's content never changes under its sha256.
"""

from __future__ import annotations

import json
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TypeVar

from isal import isal_zlib

from cog_nix import jsonvalue
from cog_nix.elf.dynamic import read_dynamic
from cog_nix.elf.scan import Scan, gather, is_library, may_be_elf
from cog_nix.files import write_atomically
from cog_nix.wheelfile import read_or_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")

_FORMAT = 1
_CHUNK = 1 << 18
_WORKERS = 4
_RAW_DEFLATE = -15
_LOCAL_HEADER = 30
_DATA = re.compile(r"^[^/]+\.data/(?P<scheme>purelib|platlib|data|scripts|headers)/(?P<rest>.*)$")
_FROM_SITE_PACKAGES = {"data": "../../../", "scripts": "../../../bin/"}


def scan_wheel(path: Path, sha256: str, cache: Path) -> Scan:
    """Return what a wheel's programs and libraries need.

    Args:
        path: the wheel.
        sha256: its hash, already verified.
        cache: folder for results; may be lost at any time.

    Raises:
        LockError: the file is no zip archive.
    """
    kept = cache / f"v{_FORMAT}" / sha256[:2] / f"{sha256}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return Scan.from_json(jsonvalue.loads(kept.read_bytes()))
    with read_or_refused(path):
        scan = _scan(path)
    write_atomically(kept, json.dumps(scan.to_json(), separators=(",", ":")).encode())
    return scan


def names_in_wheel(path: Path) -> Scan:
    """Return the libraries of a wheel by their files' names alone: nothing is inflated.

    Raises:
        LockError: the file is no zip archive.
    """
    with read_or_refused(path), zipfile.ZipFile(path) as archive:
        names = [installed(name) for name in archive.namelist() if is_library(name)]
    return Scan(libraries=tuple(sorted(names)))


def _scan(path: Path) -> Scan:
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if _is_candidate(info)]
    found = each_member(path, members, read_dynamic)
    return gather((installed(info.filename), dynamic) for info, dynamic in found)


def each_member(
    path: Path, members: Iterable[zipfile.ZipInfo], read: Callable[[Callable[[], Member]], T]
) -> list[tuple[zipfile.ZipInfo, T]]:
    """Read members of a wheel, several at once.

    Args:
        path: the wheel.
        members: of it.
        read: is given a function that opens the member from its start.

    Raises:
        Exception: one of :data:`cog_nix.wheelfile.UNREADABLE`, or what ``read`` raises.
    """
    # The largest first: one that starts last would run on alone.
    ordered = sorted(members, key=lambda info: -info.file_size)

    def one(info: zipfile.ZipInfo) -> T:
        if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with path.open("rb") as file:
                return read(lambda: _member(file, info))
        with zipfile.ZipFile(path) as archive:
            return read(lambda: Member(archive.open(info), info.file_size, None))

    with ThreadPoolExecutor(_WORKERS) as crew:
        return list(zip(ordered, crew.map(one, ordered), strict=True))


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
