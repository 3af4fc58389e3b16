"""Large members of a wheel, inflated straight to where their bytes belong.

A wheel of CUDA's is a few files of hundreds of megabytes. Each is inflated, checked, hashed for RECORD and
written in one pass, several at once, with ISA-L: twice as fast as zlib.
"""

from __future__ import annotations

import base64
import hashlib
import mmap
import os
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
        times = Counter(info.filename for info in members)
        self._large = {
            info.filename: info for info in members if _is_large(info) and times[info.filename] == 1
        }
        self._placed: dict[Path, zipfile.ZipInfo] = {}

    def find(self, stream: BinaryIO) -> zipfile.ZipInfo | None:
        """Return the large member that a stream of ``zipfile`` reads; None for all else."""
        return self._large.get(getattr(stream, "name", ""))

    def stand_in(self, path: Path, info: zipfile.ZipInfo) -> str:
        """Give an empty file the size of a member; return what stands in for its hash until that is known."""
        os.truncate(path, info.file_size)
        self._placed[path] = info
        return _unknown(len(self._placed) - 1)

    @property
    def paths(self) -> frozenset[Path]:
        """The files that stand in for members."""
        return frozenset(self._placed)

    def inflate(self, target: Path, places: Mapping[Path, int]) -> dict[str, str]:
        """Write all members; return the hash of each (as RECORD has it), by what stood in for it.

        Args:
            target: file to write to.
            places: where in it each begins.

        Raises:
            zipfile.BadZipFile: a member is damaged.
        """
        with self._wheel.open("rb") as file, target.open("r+b") as sink:
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

            def one(numbered: tuple[int, Path]) -> tuple[str, str]:
                number, path = numbered
                digest = _copy(view, self._placed[path], sink.fileno(), places[path])
                return _unknown(number), base64.urlsafe_b64encode(digest).decode().rstrip("=")

            # The largest first: one that starts last would run on alone.
            ordered = sorted(enumerate(self._placed), key=lambda each: -self._placed[each[1]].file_size)
            with ThreadPoolExecutor(os.cpu_count() or 1) as crew:
                return dict(crew.map(one, ordered))


def _is_large(info: zipfile.ZipInfo) -> bool:
    plain = info.compress_type in _METHODS and not info.flag_bits & _ENCRYPTED
    # Modules are read to be compiled.
    return plain and info.file_size >= _LARGE and not info.filename.endswith(".py")


def _unknown(number: int) -> str:
    """Return what is as long as a sha256 in RECORD (binary distribution format) and is none."""
    return f"{number:043d}"


def _copy(wheel: memoryview, info: zipfile.ZipInfo, sink: int, place: int) -> bytes:
    """Write a member's content to a file; return its sha256."""
    digest, crc, size = hashlib.sha256(), 0, 0
    for chunk in _content(wheel, info):
        if size + len(chunk) > info.file_size:
            raise zipfile.BadZipFile(f"{info.filename} is larger than the wheel says")
        crc = _zlib.crc32(chunk, crc)
        digest.update(chunk)
        _write(sink, chunk, place + size)
        size += len(chunk)
    if size != info.file_size or crc != info.CRC:
        raise zipfile.BadZipFile(f"{info.filename} is damaged")
    return digest.digest()


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
