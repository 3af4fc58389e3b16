"""The tar of a layer, byte for byte as Go's ``archive/tar`` writes it in its PAX format.

Each member has an extended header with ``atime`` and ``ctime``, both 0, before its own (POSIX.1-2024, pax,
"pax Extended Header"); what does not fit into the old fields stands there as well.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = 512
END = bytes(2 * BLOCK)
"""What ends an archive."""
_NAME = 100
_LARGEST = 8**11
"""Sizes from here on do not fit into eleven octal digits."""
_EXTENDED, _REGULAR, _FOLDER = b"x", b"0", b"5"


def file_header(path: str, size: int) -> bytes:
    """Return what stands before the contents of a file.

    Args:
        path: its name in the archive.
        size: bytes of its contents.
    """
    return _member(path, _REGULAR, 0o644, size)


def folder_header(path: str) -> bytes:
    """Return the member of a folder."""
    return _member(f"{path}/", _FOLDER, 0o755, 0)


def padding(size: int) -> bytes:
    """Return what follows the contents of a file of this size."""
    return bytes(-size % BLOCK)


def folders_of(paths: Iterable[str]) -> Iterator[str]:
    """Yield the folders that files are in, each after the one it is in, as the archive has them."""
    found = set()
    for path in paths:
        parts = path.split("/")
        found |= {"/".join(parts[:length]) for length in range(1, len(parts))}
    yield from sorted(found, key=str.encode)


def _member(name: str, kind: bytes, mode: int, size: int) -> bytes:
    records = {"atime": "0", "ctime": "0"}
    if len(name.encode()) > _NAME or not name.isascii():
        records["path"] = name
    if size >= _LARGEST:
        records["size"] = str(size)
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    folder, file = posixpath.split(name)
    extended = _ascii(posixpath.join(folder, "PaxHeaders.0", file))[:_NAME].rstrip(b"/")
    # The extended header's own fields for devices stay empty, those of the member are zero.
    head = _block(extended, _EXTENDED, 0, len(data), bytes(16))
    own = _block(_field(name), kind, mode, size if size < _LARGEST else 0, b"0000000\0" * 2)
    return b"".join((head, data, padding(len(data)), own))


def _record(key: str, value: str) -> bytes:
    """Return a record, which begins with its own length in decimal digits."""
    rest = f" {key}={value}\n".encode()
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _field(name: str) -> bytes:
    """Return a name as the old field has it; readers take one that ends in a slash for a folder."""
    text = _ascii(name)
    return text if len(text) <= _NAME else text[:_NAME].rstrip(b"/")


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "ignore")


def _block(name: bytes, kind: bytes, mode: int, size: int, devices: bytes) -> bytes:
    fields = (
        name.ljust(_NAME, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        b"%011o\0" % size,
        b"%011o\0" % 0,
        b" " * 8,
        kind,
        bytes(100),
        b"ustar\00000",
        bytes(64),
        devices,
        bytes(167),
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
