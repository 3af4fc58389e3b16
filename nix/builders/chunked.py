"""Layers from which Podman and CRI-O fetch only the files that they lack: ``zstd:chunked``.

Such a layer is a tar in Zstandard like any other. Besides, each file's content begins and ends a frame, and a
table of contents stands behind the last of them, in a frame that others skip (RFC 8878, section 3.1.2). It
names the range of bytes and the digest of each file; annotations of the layer say where it is. A second
frame that is skipped has what the table lacks of the tar, byte for byte, as tar-split writes it.

The format is that of containers/storage (``pkg/chunked``, version 1). It does without what that writer adds
beyond the format: content is cut at fixed places, not where a rolling checksum falls, which costs more than
everything else together in Python, and helps a file of which a part has moved. A file that is the same in
the next image is found by its digest in any case, whatever layer it is in.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import struct
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import crc64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Compress = Callable[[bytes], bytes]
    InParallel = Callable[[Iterable[bytes], Compress], Iterator[bytes]]

BLOCK = 8 << 20
"""Content of a file that is longer is several chunks. Part of the format: another size makes other bytes."""

_PREFIX = "io.github.containers.zstd-chunked"
_OLD_PREFIX = "io.containers.zstd-chunked"
"""What Podman before 4.6 looks for, Debian 12's among them."""
_SKIPPED = 0x184D2A50
_MAGIC = b"GNUlInUx"
_SEGMENT, _FILE = 2, 1
"""Kinds of entries of tar-split."""
_TYPES = {
    tarfile.REGTYPE: "reg",
    tarfile.AREGTYPE: "reg",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.DIRTYPE: "dir",
    tarfile.FIFOTYPE: "fifo",
    tarfile.SYMTYPE: "symlink",
}
_XATTR = "SCHILY.xattr."


@dataclass
class _Piece:
    """Bytes of the tar that become a frame; ``entry`` is what says where content is, None for the rest."""

    data: bytes
    entry: dict[str, Any] | None = None


@dataclass
class _Split:
    """What is needed to make the tar again from its files (tar-split, ``tar/storage``)."""

    lines: list[str] = field(default_factory=list)

    def add(self, kind: int, payload: bytes | None, **more: Any) -> None:
        encoded = None if payload is None else base64.b64encode(payload).decode()
        line = {"type": kind, **more, "payload": encoded, "position": len(self.lines)}
        self.lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")))

    def segment(self, data: bytes) -> None:
        if data:
            self.add(_SEGMENT, data)

    def file(self, name: str, size: int, checksum: bytes | None) -> None:
        if size:
            self.add(_FILE, checksum, name=name, size=size)
        else:
            self.add(_FILE, None, name=name)

    @property
    def data(self) -> bytes:
        return "".join(f"{line}\n" for line in self.lines).encode()


class _Recorded:
    """A tar that is read forward; keeps the headers' bytes."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._raw = bytearray()

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._raw += data
        return data

    def content(self, size: int) -> bytes:
        """Return bytes of a file, which are no part of headers."""
        return self._source.read(size)

    def raw(self) -> bytes:
        """Return what was read since the last time."""
        found = bytes(self._raw)
        self._raw.clear()
        return found


def write(
    source: IO[bytes], compress: Compress, in_parallel: InParallel, annotations: dict[str, str]
) -> Iterator[bytes]:
    """Yield the bytes of the layer.

    Args:
        source: its tar, uncompressed, with headers as Python's tarfile or GNU's tar write them.
        compress: makes a frame.
        in_parallel: calls that for many blocks, and yields what comes in their order.
        annotations: gets those of the layer, once all has been yielded.
    """
    entries: list[dict[str, Any]] = []
    split = _Split()
    pieces, again = itertools.tee(_pieces(_Recorded(source), entries, split))
    offset = 0
    for piece, frame in zip(again, in_parallel((one.data for one in pieces), compress), strict=True):
        if piece.entry is not None:
            piece.entry["offset"] = offset
            piece.entry["endOffset"] = offset + len(frame)
        offset += len(frame)
        yield frame
    _settle(entries)
    yield from _tail(entries, split.data, offset, compress, annotations)


def _settle(entries: list[dict[str, Any]]) -> None:
    """Let the entry of a file of several chunks end where its last chunk does."""
    first: dict[str, Any] = {}
    for entry in entries:
        if entry["type"] == "chunk":
            first["endOffset"] = entry.pop("endOffset")
        else:
            first = entry


def _tail(
    entries: list[dict[str, Any]],
    split: bytes,
    offset: int,
    compress: Compress,
    annotations: dict[str, str],
) -> Iterator[bytes]:
    packed_split = compress(split)
    table = _json({"version": 1, "entries": entries, "tarSplitDigest": _digest(packed_split)})
    packed = compress(table)
    place = offset + 8
    behind = place + len(packed) + 8
    for prefix in (_PREFIX, _OLD_PREFIX):
        annotations[f"{prefix}.manifest-checksum"] = _digest(packed)
        annotations[f"{prefix}.manifest-position"] = f"{place}:{len(packed)}:{len(table)}:1"
    annotations[f"{_PREFIX}.tarsplit-position"] = f"{behind}:{len(packed_split)}:{len(split)}"
    yield _skipped(packed)
    yield _skipped(packed_split)
    sizes = (place, len(packed), len(table), 1, behind, len(packed_split), len(split))
    yield _skipped(struct.pack("<7Q", *sizes) + _MAGIC)


def _pieces(tar: _Recorded, entries: list[dict[str, Any]], split: _Split) -> Iterator[_Piece]:
    """Yield the tar in pieces: each file's content, in blocks, and what is between two of them."""
    waiting = b""
    while member := _next(tar):
        header = tar.raw()
        waiting += header
        split.segment(header)
        entry = _entry(member)
        entries.append(entry)
        size = member.size if member.isreg() else 0
        if not size:
            split.file(entry["name"], 0, None)
            continue
        yield _Piece(waiting)
        waiting = b""
        yield from _content(tar, entry, size, entries, split)
        padding = tar.content(-size % tarfile.BLOCKSIZE)
        waiting += padding
        split.segment(padding)
    rest = tar.raw()
    while more := tar.content(BLOCK):
        rest += more
    split.segment(rest)
    yield _Piece(waiting + rest)


def _content(
    tar: _Recorded, entry: dict[str, Any], size: int, entries: list[dict[str, Any]], split: _Split
) -> Iterator[_Piece]:
    whole, checksum = hashlib.sha256(), crc64.Checksum()
    several = size > BLOCK
    for start in range(0, size, BLOCK):
        data = tar.content(min(BLOCK, size - start))
        whole.update(data)
        checksum.update(data)
        one = entry
        if start:
            one = {"type": "chunk", "name": entry["name"], "chunkOffset": start}
            entries.append(one)
        if several:
            one |= {"chunkSize": len(data), "chunkDigest": _digest(data)}
        yield _Piece(data, one)
    entry["digest"] = f"sha256:{whole.hexdigest()}"
    split.file(entry["name"], size, checksum.digest())


def _next(tar: _Recorded) -> tarfile.TarInfo | None:
    """Read the headers of the next file; None: the tar ends here."""
    try:
        return _Header.read(tar)
    except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined] # its stub
        return None


class _Header:
    """The headers of a file in a tar, one or several: pax and GNU have further ones before it."""

    @staticmethod
    def read(tar: _Recorded) -> tarfile.TarInfo:
        pax: dict[str, str] = {}
        names: dict[str, str] = {}
        while True:
            member = tarfile.TarInfo.frombuf(tar.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
            if member.type not in {tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}:
                break
            data = tar.read(member.size + -member.size % tarfile.BLOCKSIZE)[: member.size]
            if member.type == tarfile.XHDTYPE:
                pax |= _records(data)
            else:
                key = "path" if member.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
                names[key] = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
        names |= pax
        member.name = names.get("path", member.name)
        member.linkname = names.get("linkpath", member.linkname)
        member.size = int(pax.get("size", member.size))
        member.pax_headers = pax
        return member


def _records(data: bytes) -> dict[str, str]:
    """Return the records of a pax header (POSIX.1-2017, pax, "pax Extended Header")."""
    found = {}
    while data:
        length = int(data[: data.index(b" ")])
        key, _, value = data[data.index(b" ") + 1 : length - 1].partition(b"=")
        found[key.decode()] = value.decode("utf-8", "surrogateescape")
        data = data[length:]
    return found


def _entry(member: tarfile.TarInfo) -> dict[str, Any]:
    """Return what the table says of a file, without its content."""
    found: dict[str, Any] = {"type": _TYPES[member.type], "name": member.name}
    if member.type == tarfile.DIRTYPE and not member.name.endswith("/"):
        found["name"] += "/"
    xattrs = {
        key.removeprefix(_XATTR): base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
        for key, value in member.pax_headers.items()
        if key.startswith(_XATTR)
    }
    numbers = {
        "mode": member.mode & 0o7777,
        "size": member.size if member.isreg() else 0,
        "uid": member.uid,
        "gid": member.gid,
    }
    if member.ischr() or member.isblk():
        numbers |= {"devMajor": member.devmajor, "devMinor": member.devminor}
    found |= {key: value for key, value in numbers.items() if value}
    if member.linkname:
        found["linkName"] = member.linkname
    found["modtime"] = datetime.fromtimestamp(int(member.mtime), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return found | ({"xattrs": xattrs} if xattrs else {})


def _json(value: Any) -> bytes:
    # Sorted: in which order an entry got its keys depends on how far threads are.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _skipped(data: bytes) -> bytes:
    return struct.pack("<II", _SKIPPED, len(data)) + data
