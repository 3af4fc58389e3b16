"""A deflated member of an archive of which only parts are at hand, read from both of its ends.

From the start a member is inflated as far as it is needed. But the dynamic section of a library stands near
its end, behind all code: of torch's largest library that would be 95 % of 570 MB. RFC 1951 allows to begin
elsewhere, at a block; where one begins has to be found out, and what a block copies from the 32 KB before it
is unknown. So a place is looked for at which a block could begin and from which everything inflates until
exactly the end of the member. This is done with two different guesses of what stood before, and a byte counts
when it comes out the same with both. Positions follow from the member's size, counted from its end.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from isal import isal_zlib

from cog_nix.elf.wheelfile import INFLATING
from cog_nix.fetch.ranges import NoPartsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.fetch.ranges import Parts

_RAW_DEFLATE = -15
_WINDOW = 1 << 15
_LOCAL_HEADER = 30
_FIRST = 1 << 14
"""Bytes to begin with: the headers are among them, and in small files all that is wanted."""
_AT_ONCE = 1 << 17
"""Bytes of a packed member that is rather fetched whole."""
_MARGIN = 1 << 16
"""Packed bytes before those that are wanted in which a block's begin is looked for."""
_FIRST_SHARE = 0.3
"""Of what the end of a member would take if all of it packed alike."""
_TRIED = 1 << 16
"""Packed bytes that have to inflate before a place is taken for a block's begin."""
_AT_MOST_BEFORE = 1 << 24
"""Packed bytes before what is wanted; where more would be needed to be sure, it is read from the start."""
_LONGEST_TAIL = 1 << 27
"""Packed bytes."""
_LONGEST = 1 << 28
"""Inflated bytes that are kept of one end."""
_GAP = 256
"""Bytes that stand for what is left out, so that what is before it and behind it do not become one word."""
_DYNAMIC = 4
"""The first three bits of a block with codes of its own that is not the last (RFC 1951, section 3.2.3)."""


_STORED, _ALL_BITS = b"\0", 0xFF
"""The byte before a stored block's length, which stands there twice, once with all bits turned (3.2.4)."""


class NoBlockError(Exception):
    """There is no place from which this inflates."""


@dataclass
class Tail:
    """The inflated end of a member."""

    packed: bytes
    """From a block's begin on."""
    one: bytes
    """All of it; a few bytes in front are not of the member."""
    _other: bytearray = field(default_factory=bytearray)
    """The same with another guess of what stood before, as far as it was needed."""
    _inflater: Any = field(init=False)

    def __post_init__(self) -> None:
        self._inflater = isal_zlib.decompressobj(_RAW_DEFLATE, zdict=_guess(1))

    def sure(self, back: int, size: int) -> bytes | None:
        """Return bytes that are certain, or None.

        Args:
            back: where they begin, counted from the end.
            size: how many.
        """
        start = len(self.one) - back
        if start < _WINDOW:
            return None
        found = self.one[start : start + size]
        while len(self._other) < start + len(found):
            wanted = start + len(found) - len(self._other)
            packed = self._inflater.unconsumed_tail if self._other else self.packed
            came = self._inflater.decompress(packed, wanted)
            if not came:
                return None
            self._other += came
        return found if found == self._other[start : start + size] else None


def inflate_tail(packed: bytes) -> Tail:
    """Inflate the end of a deflate stream.

    Args:
        packed: its last bytes, from anywhere.

    Raises:
        NoBlockError: no place inflates to the end.
    """
    for prefix, rest in _places(packed):
        try:
            _inflated(prefix + packed[rest : rest + _TRIED], _guess(0))
            whole = prefix + packed[rest:]
            one = _inflated(whole, _guess(0), whole=True)
        except (EOFError, INFLATING):
            continue
        return Tail(whole, one)
    raise NoBlockError


def _inflated(packed: bytes, before: bytes, *, whole: bool = False) -> bytes:
    inflater = isal_zlib.decompressobj(_RAW_DEFLATE, zdict=before)
    found: bytes = inflater.decompress(packed, _LONGEST)
    if whole and (not inflater.eof or inflater.unused_data):
        raise EOFError("it does not end where the member ends")
    return found


@cache
def _guess(which: int) -> bytes:
    """Return something that may have stood before; no byte of one guess is that of the other."""
    return bytes((number * 37 + 11 ^ 0x5A * which) & 0xFF for number in range(_WINDOW))


def _places(packed: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield where a block may begin: bytes to take for what it begins with, and where its rest is."""
    for byte in range(min(len(packed) - 16, 8 * _MARGIN)):
        if packed[byte] ^ packed[byte + 2] == packed[byte + 1] ^ packed[byte + 3] == _ALL_BITS:
            yield _STORED, byte
        for bit in _candidates()[packed[byte] | (packed[byte + 1] & 3) << 8]:
            if _may_begin(int.from_bytes(packed[byte : byte + 12], "little") >> bit):
                yield _aligned(packed[byte], bit), byte + 1


@cache
def _candidates() -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(bit for bit in range(8) if value >> bit & 7 == _DYNAMIC) for value in range(1 << 10))


def _may_begin(bits: int) -> bool:
    """Tell whether these bits may be a block's header (RFC 1951, section 3.2.7)."""
    if bits >> 3 & 31 > 29 or bits >> 8 & 31 > 29:  # noqa: PLR2004 - the most codes that there are
        return False
    lengths = bits >> 17 & (1 << 3 * ((bits >> 13 & 15) + 4)) - 1
    taken = _room()
    # A code is complete when its lengths fill the tree; there are up to 19 of three bits.
    return (
        taken[lengths & 4095]
        + taken[lengths >> 12 & 4095]
        + taken[lengths >> 24 & 4095]
        + taken[lengths >> 36 & 4095]
        + taken[lengths >> 48]
    ) == 1 << 7


@cache
def _room() -> tuple[int, ...]:
    """Return how much of a tree of seven levels four lengths of codes take, by their twelve bits."""
    one = (0, *(1 << 7 >> length for length in range(1, 8)))
    return tuple(sum(one[bits >> 3 * number & 7] for number in range(4)) for bits in range(1 << 12))


def _aligned(first: int, bit: int) -> bytes:
    """Return bytes to take in place of a block's first one.

    A block that begins within a byte has to stay at the same bit, since stored blocks begin at a byte. So a
    block with fixed codes is put before it that is as long as it takes: of literals with nine bits each (RFC
    1951, section 3.2.6).
    """
    size = next(number for number in range(8) if (10 + 9 * number) % 8 == bit)
    bits, at = 2, 3  # not the last one, fixed codes
    for _ in range(size):
        bits |= 0b000010011 << at  # 144, from the code's first bit on
        at += 9
    at += 7  # its end
    bits |= first >> bit << at
    return bits.to_bytes((at - bit) // 8 + 1, "little")


class BothEnds:
    """A member of a zip archive, of which as little as possible is fetched.

    Args:
        parts: the archive.
        info: the member.
    """

    def __init__(self, parts: Parts, info: zipfile.ZipInfo) -> None:
        self._parts, self._info = parts, info
        size = info.compress_size
        first = size if size <= _AT_ONCE else _FIRST
        header = _LOCAL_HEADER + len(info.orig_filename.encode()) + 64
        came = parts.read(info.header_offset, header + first)
        skipped = int.from_bytes(came[26:28], "little") + int.from_bytes(came[28:30], "little")
        self._start = info.header_offset + _LOCAL_HEADER + skipped
        if len(came) < _LOCAL_HEADER or came[:4] != b"PK\3\4":
            raise NoPartsError("a member is not where the directory says")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NoPartsError("a member is packed in another way")
        self._inflater = isal_zlib.decompressobj(_RAW_DEFLATE) if info.compress_type else None
        self._taken = 0
        self._head = bytearray()
        self._feed(came[_LOCAL_HEADER + skipped :][:size])
        self._tail: Tail | None = None
        self._tail_packed = b""
        if self._taken == size:
            self._check(zlib.crc32(self._head))

    def at(self, offset: int, size: int) -> bytes:
        """Return the bytes of a range; fewer where the file ends.

        Raises:
            NoPartsError: they cannot be had, or are damaged.
        """
        size = min(size, self._info.file_size - offset)
        if size <= 0:
            return b""
        if self._inflater is None and self._taken < self._info.compress_size:
            return self._parts.read(self._start + offset, size)
        if offset + size > len(self._head):
            behind = self._info.file_size - offset
            if offset + size - len(self._head) > behind:
                found = self._from_end(behind, size)
                if found is not None:
                    return found
            self._go_on(offset + size)
        return bytes(self._head[offset : offset + size])

    def chunks(self, piece: int) -> Iterator[bytes]:
        """Yield the whole content.

        Args:
            piece: bytes to fetch at once.

        Raises:
            NoPartsError: it cannot be had, or is damaged.
        """
        crc = 0
        for chunk in self._from_start(piece, self._info.file_size):
            crc = zlib.crc32(chunk, crc)
            yield chunk
        self._check(crc)

    def around(self, left_out: range, piece: int) -> Iterator[bytes]:
        """Yield the content without a part of it: what stands behind that, zeros, and what stands before it.

        Args:
            left_out: the part; where the way around it is no shorter, all of the content comes.
            piece: bytes to fetch, or to yield, at once.

        Raises:
            NoPartsError: it cannot be had, or is damaged.
        """
        stop = left_out.start
        for behind in range(self._info.file_size - left_out.stop, 0, -piece):
            found = self._from_end(behind, min(piece, behind)) if self._inflater else None
            if found is None:
                stop = self._info.file_size
                break
            yield found
        self._tail, self._tail_packed = None, b""
        yield bytes(_GAP)
        yield from self._from_start(piece, stop)

    def _from_start(self, piece: int, stop: int) -> Iterator[bytes]:
        """Yield the content up to a place, and some bytes more; afterwards the start is forgotten."""
        inflated = len(self._head)
        yield bytes(self._head)
        while self._taken < self._info.compress_size and inflated < stop:
            self._head.clear()
            likely = int((stop - inflated) * self._ratio * 1.1) + _FIRST
            self._feed(self._parts.read(self._start + self._taken, self._next(min(piece, likely))))
            inflated += len(self._head)
            yield bytes(self._head)

    def _next(self, wanted: int) -> int:
        """Return how much of the packed bytes to fetch next."""
        return min(wanted, self._info.compress_size - self._taken)

    def _check(self, crc: int) -> None:
        if crc != self._info.CRC:
            raise NoPartsError("a member's checksum is wrong")

    def _go_on(self, stop: int) -> None:
        """Inflate from the start as far as a place."""
        if stop > _LONGEST:
            raise NoPartsError("too much would have to be inflated")
        while len(self._head) < stop and self._taken < self._info.compress_size:
            guess = int((stop - len(self._head)) * self._ratio * 1.1) + _FIRST
            self._feed(self._parts.read(self._start + self._taken, self._next(guess)))
            if self._taken == self._info.compress_size:
                self._check(zlib.crc32(self._head))

    @property
    def _ratio(self) -> float:
        return self._info.compress_size / max(self._info.file_size, 1)

    def _feed(self, packed: bytes) -> None:
        self._taken += len(packed)
        try:
            self._head += self._inflater.decompress(packed) if self._inflater else packed
        except INFLATING as error:
            raise NoPartsError(f"a member is damaged: {error}") from error

    def _from_end(self, behind: int, size: int) -> bytes | None:
        """Return bytes by inflating the member's end; None: the way from its start is no longer."""
        if self._tail and (found := self._tail.sure(behind, size)) is not None:
            return found
        # What stands behind a dynamic section is data and names, which pack better than code does.
        wanted = len(self._tail_packed) * 2 or int(behind * self._ratio * _FIRST_SHARE) + _MARGIN
        while wanted < min(self._info.compress_size - self._taken, _LONGEST_TAIL, behind + _AT_MOST_BEFORE):
            end = self._start + self._info.compress_size
            more = wanted - len(self._tail_packed)
            self._tail_packed = self._parts.read(end - wanted, more) + self._tail_packed
            try:
                self._tail = inflate_tail(self._tail_packed)
            except NoBlockError:
                self._tail = None
            if self._tail and (found := self._tail.sure(behind, size)) is not None:
                return found
            inflated = len(self._tail.one) if self._tail else 0
            likely = int(wanted * behind / inflated * 1.1) + _MARGIN if inflated > _MARGIN else 0
            wanted = max(likely, int(wanted * 1.25), wanted + _MARGIN)
        return None
