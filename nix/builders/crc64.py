"""CRC-64 with the polynomial of ISO 3309, as tar-split has it (reveng's catalogue: CRC-64/GO-ISO).

Byte by byte, Python would take longer for it than compressing takes. The polynomial is
x^64 + x^4 + x^3 + x + 1, and squaring adds nothing but spaces in arithmetic modulo 2: for every power of two
s, x^64s = x^4s + x^3s + x^s + 1, which is (x^3s + 1)(x^s + 1). So the first 60s bits of a message are moved
onto those behind them with three shifts of one large number, which are loops in C.
"""

from __future__ import annotations

_BITS = 64
_ONES = (1 << _BITS) - 1
_MOVED = 60
"""Bits that are moved at once with s = 1: x^64 becomes x^4 and less."""
_BLOCK = 64 << 10
"""Numbers of so many bytes stay in a processor's cache."""


class Checksum:
    """The checksum of bytes that come in pieces."""

    def __init__(self) -> None:
        self._register = _ONES

    def update(self, data: bytes) -> None:
        """Take some more."""
        for start in range(0, len(data), _BLOCK):
            self._take(data[start : start + _BLOCK])

    def _take(self, data: bytes) -> None:
        # The least significant bit is the highest power.
        value = int.from_bytes(data, "little") ^ self._register
        left = 8 * len(data)
        while left:
            # What is moved becomes as long as 64s, and there have to be so many bits behind it.
            scale = 1 << max((left // (_MOVED + _BITS)).bit_length() - 1, 0)
            width = min(_MOVED * scale, left)
            value, left = _moved(value, scale, width), left - width
        self._register = value

    def digest(self) -> bytes:
        """Return it, most significant byte first."""
        return (self._register ^ _ONES).to_bytes(8, "big")


def _moved(value: int, scale: int, width: int) -> int:
    """Return a message without its first ``width`` bits, moved onto those behind them."""
    first = value & ((1 << width) - 1)
    first ^= first << scale
    first ^= first << 3 * scale
    return (value >> width) ^ (first << (_MOVED * scale - width))
