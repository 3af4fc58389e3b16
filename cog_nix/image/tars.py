"""Two layers, entry by entry: which files differ, in what, and where the first of them differs.

A layer is read once to list it, with a digest over each file, and once more up to the file that is shown.
Memory grows with the number of files, not with their sizes.
"""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import IO, TYPE_CHECKING, Literal

from cog_nix.image.compression import BrokenLayerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Opener = Callable[[], AbstractContextManager[IO[bytes]]]

Kind = Literal["missing", "new", "contents", "attributes", "order", "encoding"]
"""Only the first has it; only the second; other bytes; other mode, owner or the like; the same entries in
another order; the same entries, written as another tar."""

_CHUNK = 1 << 20
_TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "hard link",
    tarfile.FIFOTYPE: "pipe",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
}


@dataclass(frozen=True)
class Entry:
    """What a tar says of a file (POSIX.1-2017, pax, "ustar Interchange Format")."""

    path: str
    type: str
    mode: str
    """Octal."""
    owner: str
    """``0:0``"""
    time: float
    """Seconds since 1970."""
    target: str
    """Of a link."""
    size: int
    digest: str
    """SHA-256 of its contents, hexadecimal; "" where it has none."""
    more: tuple[tuple[str, str], ...] = ()
    """Further attributes (pax records), such as capabilities."""


@dataclass(frozen=True)
class Attribute:
    """Something other than contents that an entry says in two ways."""

    name: str
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.name} {self.first or 'none'} and {self.second or 'none'}"


@dataclass(frozen=True)
class Range:
    """Where two files differ, in bytes from the beginning; what is between may be the same here and there."""

    start: int
    """Of the first byte that differs."""
    end: int
    """Behind the last one; where one is longer than the other, its end."""
    first: bytes
    """Some bytes of the first file from ``start`` on."""
    second: bytes

    def __str__(self) -> str:
        return f"bytes {self.start} to {self.end - 1}: {self.first!r} and {self.second!r}"


@dataclass(frozen=True)
class Difference:
    """An entry that two layers do not have in the same way."""

    path: str
    kind: Kind
    attributes: tuple[Attribute, ...] = ()
    range: Range | None = None
    """Of the first that differs in contents."""

    def __str__(self) -> str:
        said = {
            "missing": "is only in the first",
            "new": "is only in the second",
            "order": "is in another place of the archive",
            "encoding": "is the same, and the archive is written in another way",
        }
        if self.kind in said:
            return f"{self.path} {said[self.kind]}"
        details = [*map(str, self.attributes), *([str(self.range)] if self.range else [])]
        return f"{self.path}: {'; '.join(details) or 'other contents'}"


def entries(stream: IO[bytes]) -> Iterator[Entry]:
    """Yield what is in a tar, in its order.

    Raises:
        BrokenLayerError: it is no tar.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                data = tar.extractfile(member) if member.isreg() else None
                yield _entry(member, _digest(data) if data else "")
    except (tarfile.TarError, EOFError) as error:
        raise BrokenLayerError(f"it is not a tar: {error}") from error


def _entry(member: tarfile.TarInfo, digest: str) -> Entry:
    known = {"path", "linkpath", "size", "mtime", "uid", "gid", "uname", "gname"}
    more = tuple(sorted((key, value) for key, value in member.pax_headers.items() if key not in known))
    return Entry(
        member.name.removeprefix("./"),
        _TYPES.get(member.type, f"type {member.type!r}"),
        f"{member.mode:04o}",
        f"{member.uid}:{member.gid}",
        member.mtime,
        member.linkname,
        member.size,
        digest,
        more,
    )


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while data := stream.read(_CHUNK):
        digest.update(data)
    return digest.hexdigest()


def compare(first: Opener, second: Opener, folder: Path) -> tuple[Difference, ...]:
    """Return what two layers do not have in the same way, in the order of the first.

    Args:
        first: opens the tar of one.
        second: opens that of the other.
        folder: where both forms of the first file with other contents are left, as ``first`` and ``second``.

    Raises:
        ImageError: one of them cannot be read.
    """
    with first() as one, second() as other:
        ours, theirs = {e.path: e for e in entries(one)}, {e.path: e for e in entries(other)}
    found = [*_differences(ours, theirs)]
    if not found and (moved := _moved(ours, theirs)):
        found = [Difference(moved, "order")]
    if not found:
        found = [Difference(_place(first, second), "encoding")]
    number = next((index for index, one in enumerate(found) if one.kind == "contents"), None)
    if number is not None:
        path = found[number].path
        for name, opener in (("first", first), ("second", second)):
            _extract(opener, path, folder / name)
        with (folder / "first").open("rb") as one, (folder / "second").open("rb") as other:
            where = first_range(one, other)
        found[number] = Difference(path, "contents", found[number].attributes, where)
    return tuple(found)


def _differences(ours: dict[str, Entry], theirs: dict[str, Entry]) -> Iterator[Difference]:
    for path, entry in ours.items():
        other = theirs.get(path)
        if other is None:
            yield Difference(path, "missing")
        elif entry != other:
            both = bool(entry.digest and other.digest)
            kind: Kind = "contents" if both and entry.digest != other.digest else "attributes"
            yield Difference(path, kind, tuple(attributes(entry, other)))
    yield from (Difference(path, "new") for path in theirs if path not in ours)


def attributes(one: Entry, other: Entry) -> Iterator[Attribute]:
    """Yield what two entries of a path say otherwise, but for their contents."""
    for name in (field.name for field in fields(Entry) if field.name not in {"path", "digest"}):
        first, second = getattr(one, name), getattr(other, name)
        if first != second:
            yield Attribute("attributes" if name == "more" else name, _shown(first), _shown(second))


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{key}={text}" for key, text in value)
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


def _moved(ours: dict[str, Entry], theirs: dict[str, Entry]) -> str:
    """Return the first path that two tars have in another place; "": there is none."""
    return next((one for one, other in zip_longest(ours, theirs) if one != other), "") or ""


def _place(first: Opener, second: Opener) -> str:
    """Return where two tars with the same entries differ first."""
    at = 0
    with first() as one, second() as other:
        while True:
            ours, theirs = one.read(_CHUNK), other.read(_CHUNK)
            if ours != theirs or not ours:
                return f"byte {at + _common(ours, theirs)}"
            at += len(ours)


def _extract(opener: Opener, path: str, target: Path) -> None:
    with opener() as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.name.removeprefix("./") == path and (data := tar.extractfile(member)):
                with target.open("wb") as sink:
                    while chunk := data.read(_CHUNK):
                        sink.write(chunk)
                return


_CONTEXT = 16
"""Bytes of a difference that are shown."""


def first_range(one: IO[bytes], other: IO[bytes]) -> Range | None:
    """Return where two files that can be read twice differ; None: they do not."""
    start, last, at = -1, -1, 0
    while True:
        ours, theirs = one.read(_CHUNK), other.read(_CHUNK)
        if not ours and not theirs:
            break
        if ours != theirs:
            start = start if start >= 0 else at + _common(ours, theirs)
            last = at + _last(ours, theirs)
        at += max(len(ours), len(theirs))
    if start < 0:
        return None
    one.seek(start)
    other.seek(start)
    return Range(start, last + 1, one.read(_CONTEXT), other.read(_CONTEXT))


def _common(ours: bytes, theirs: bytes) -> int:
    """Return how many bytes two texts begin with in common."""
    low, high = 0, min(len(ours), len(theirs))
    while low < high:  # bisection: comparing slices is what C does
        middle = (low + high + 1) // 2
        low, high = (middle, high) if ours[:middle] == theirs[:middle] else (low, middle - 1)
    return low


def _last(ours: bytes, theirs: bytes) -> int:
    """Return the number of the last byte that differs."""
    if len(ours) != len(theirs):
        return max(len(ours), len(theirs)) - 1
    return len(ours) - 1 - _common(ours[::-1], theirs[::-1])
