"""Large members of a wheel, inflated straight to where their bytes belong.

A wheel of CUDA's is a few files of hundreds of megabytes. Each is inflated, checked and written in one pass,
several at once, with ISA-L: twice as fast as zlib. Its hash for RECORD is the one that the wheel's own RECORD
has (binary distribution format): the lock vouches for the wheel, and with it for its RECORD, and pip keeps
these lines as well. Where that has none, the file is hashed in the same pass.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import mmap
import os
import re
import zipfile
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

_zlib: Any = zlib
with suppress(ImportError):  # locks from before it was part of the seed lack it
    from isal import isal_zlib

    _zlib = isal_zlib

DAMAGED: type[Exception] = _zlib.error
"""What the decompressor makes of damaged bytes."""
_LARGE = 1 << 20
"""Bytes from which on a member is taken: smaller ones are quick, however they are read."""
_CHUNK = 1 << 16
"""Bytes inflated at once: what comes out stays in the processor's cache until it is hashed and written."""
_RAW_DEFLATE = -15
_LOCAL_HEADER = 30
_ENCRYPTED = 1
_RECORD = re.compile(r"[^/]+\.dist-info/RECORD")
_SHA256 = re.compile(r"sha256=[A-Za-z0-9_-]{43}")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Members:
    """The large members of a wheel.

    Args:
        wheel: the file.
    """

    def __init__(self, wheel: Path) -> None:
        self._wheel = wheel
        with zipfile.ZipFile(wheel) as archive:
            members = archive.infolist()
            self._recorded = _recorded(archive)
        times = Counter(info.filename for info in members)
        self._large = {
            info.filename: info for info in members if _is_large(info) and times[info.filename] == 1
        }
        self.others = sum(info.file_size for info in members if info.filename not in self._large)
        """Bytes of all that is not large."""
        self._placed: dict[str, zipfile.ZipInfo] = {}
        self.unknown: dict[str, str] = {}
        """What stands in for hashes that the wheel does not tell, by path."""

    def find(self, stream: BinaryIO) -> zipfile.ZipInfo | None:
        """Return the large member that a stream of ``zipfile`` reads; None for all else."""
        return self._large.get(getattr(stream, "name", ""))

    def stand_in(self, path: str, info: zipfile.ZipInfo) -> str:
        """Give an empty file the size of a member; return its hash, or what stands in until that is known."""
        os.truncate(path, info.file_size)
        self._placed[path] = info
        if known := self._recorded.get(info.filename):
            return known
        self.unknown[path] = _unknown(len(self.unknown))
        return self.unknown[path]

    @property
    def paths(self) -> frozenset[str]:
        """The files that stand in for members."""
        return frozenset(self._placed)

    def inflate(self, target: Path, places: Mapping[str, int]) -> dict[str, str]:
        """Write all members; return the hash of each unknown one (as RECORD has it), by what stood in for it.

        Args:
            target: file to write to.
            places: where in it each begins.

        Raises:
            zipfile.BadZipFile: a member is damaged.
        """
        with self._wheel.open("rb") as file, target.open("r+b") as sink:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

            def one(path: str) -> bytes:
                digest = hashlib.sha256() if path in self.unknown else None
                _copy(view, self._placed[path], sink.fileno(), places[path], digest)
                return digest.digest() if digest else b""

            # The largest first: one that starts last would run on alone.
            ordered = sorted(self._placed, key=lambda path: -self._placed[path].file_size)
            with ThreadPoolExecutor(os.cpu_count() or 1) as crew:
                digests = dict(zip(ordered, crew.map(one, ordered), strict=True))
        return {mark: encoded(digests[path]) for path, mark in self.unknown.items()}


def encoded(digest: bytes) -> str:
    """Return a digest as RECORD has it."""
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _recorded(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the sha256 of each file as the wheel's RECORD has it."""
    path = next((name for name in archive.namelist() if _RECORD.fullmatch(name)), None)
    text = archive.read(path).decode("utf-8", "replace") if path else ""
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if len(row) > 1]
    return {row[0]: row[1].removeprefix("sha256=") for row in rows if _SHA256.fullmatch(row[1])}


def _is_large(info: zipfile.ZipInfo) -> bool:
    plain = info.compress_type in _METHODS and not info.flag_bits & _ENCRYPTED
    # Modules are read to be compiled.
    return plain and info.file_size >= _LARGE and not info.filename.endswith(".py")


def _unknown(number: int) -> str:
    """Return what is as long as a sha256 in RECORD (binary distribution format) and is none."""
    return f"{number:043d}"


def _copy(
    wheel: memoryview, info: zipfile.ZipInfo, sink: int, place: int, digest: hashlib._Hash | None
) -> None:
    """Write a member's content to a file, and to ``digest`` where there is one."""
    crc, size = 0, 0
    for chunk in _content(wheel, info):
        if size + len(chunk) > info.file_size:
            raise zipfile.BadZipFile(f"{info.filename} is larger than the wheel says")
        crc = _zlib.crc32(chunk, crc)
        if digest:
            digest.update(chunk)
        _write(sink, chunk, place + size)
        size += len(chunk)
    if size != info.file_size or crc != info.CRC:
        raise zipfile.BadZipFile(f"{info.filename} is damaged")


def _content(wheel: memoryview, info: zipfile.ZipInfo) -> Iterator[memoryview | bytes]:
    """Yield a member's content (APPNOTE 4.3.7)."""
    header = wheel[info.header_offset : info.header_offset + _LOCAL_HEADER]
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    begin = info.header_offset + _LOCAL_HEADER + names
    inflate: Callable[[memoryview], memoryview | bytes] = memoryview
    if info.compress_type == zipfile.ZIP_DEFLATED:
        inflate = _zlib.decompressobj(_RAW_DEFLATE).decompress
    for start in range(begin, begin + info.compress_size, _CHUNK):
        yield inflate(wheel[start : min(start + _CHUNK, begin + info.compress_size)])


def _write(sink: int, data: memoryview | bytes, place: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(sink, rest, place)
        rest, place = rest[written:], place + written
