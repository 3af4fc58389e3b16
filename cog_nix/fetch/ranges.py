"""Parts of a file on a server (RFC 9110, section 14), for what only has to be looked at.

Nothing tells that a part is right: the hash is that of the whole file. So an answer counts only when it says
that it is the part that was asked for, of a file of the size that the index tells, and the same file as
before. Whatever else comes means that the server gives no parts, and the whole file is fetched.
"""

from __future__ import annotations

import io
import re
import threading
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.errors import FetchError
from cog_nix.fetch.failures import TransientError, UnreachableError
from cog_nix.fetch.retry import Cancelled, RetryPolicy, retry
from cog_nix.fetch.transport import OK, PARTIAL

if TYPE_CHECKING:
    from cog_nix.fetch.transport import Opener, Response

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_READ_AHEAD = 1 << 14


class NoPartsError(Exception):
    """The server gives no parts of this file, or parts that do not fit together."""


@dataclass
class Parts:
    """A file of which parts can be had; threads may share it.

    Args:
        transport: how they come.
        url: where it lies.
        size: of the whole file, in bytes, as the index tells.
        policy: how often to try.
    """

    transport: Opener
    url: str
    size: int
    policy: RetryPolicy
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Ends waiting for another try when set."""
    fetched: int = 0
    """Bytes that came so far."""
    refused: bool = False
    """Whether there is no use in asking this server for parts: it sent the whole file, or does not answer."""
    _is: tuple[str, str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, start: int, size: int) -> bytes:
        """Return bytes; fewer where the file ends.

        Raises:
            NoPartsError: they cannot be had.
            Cancelled: the work was given up.
        """
        size = min(size, self.size - start)
        if start < 0:
            raise NoPartsError("a part before the file")
        if size <= 0:
            return b""
        try:
            return retry(
                lambda: self._request(start, start + size),
                self.policy,
                partial(UnreachableError, self.url),
                cancelled=self.cancelled,
            )
        except FetchError as error:
            self.refused = True
            raise NoPartsError(error.message) from error

    def _request(self, start: int, stop: int) -> bytes:
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if self._is and self._is[0].startswith('"'):
            headers["If-Range"] = self._is[0]  # strong validators alone (RFC 9110, section 13.1.5)
        with self.transport.open(self.url, headers) as response:
            self._check(response, start, stop)
            came = bytearray()
            for chunk in response.chunks:
                if self.cancelled.is_set():
                    raise Cancelled
                came += chunk
                if len(came) > stop - start:
                    raise NoPartsError(f"more came than the {stop - start} bytes that were asked for")
        with self._lock:
            self.fetched += len(came)
        if len(came) < stop - start:
            raise TransientError(f"the connection ended after {len(came)} of {stop - start} bytes")
        return bytes(came)

    def _check(self, response: Response, start: int, stop: int) -> None:
        """See that an answer is the part that was asked for (RFC 9110, sections 14.4 and 15.3.7)."""
        if response.status != PARTIAL:
            self.refused = response.status == OK
            raise NoPartsError(f"the server answered {response.status} where a part was asked for")
        told = response.headers.get("content-range", "")
        found = _CONTENT_RANGE.fullmatch(told)
        if not found or tuple(map(int, found.groups())) != (start, stop - 1, self.size):
            raise NoPartsError(
                f"asked for {start}-{stop - 1}/{self.size}, the server sends {told or 'no range'}"
            )
        if response.headers.get("content-encoding", "identity") != "identity":
            raise NoPartsError(f"the server sends it {response.headers['content-encoding']}-encoded")
        tag = (response.headers.get("etag", ""), response.headers.get("last-modified", ""))
        with self._lock:
            self._is = self._is or tag
            if self._is != tag:
                raise NoPartsError("the server's file has changed since")


class PartsFile(io.RawIOBase):
    """Parts of a file as a file, for what reads one. What was read is kept.

    Args:
        parts: the file.
        ahead: bytes to read at least.
    """

    def __init__(self, parts: Parts, ahead: int = _READ_AHEAD) -> None:
        super().__init__()
        self._parts, self._ahead = parts, ahead
        self._starts: list[int] = []
        self._blocks: list[bytes] = []
        self._at = 0

    def prefetch(self, start: int, size: int) -> None:
        """Fetch a part in one go, where it is not there yet."""
        if self._held(start, min(size, self._parts.size - start)) is None:
            index = bisect_right(self._starts, start)
            self._starts.insert(index, start)
            self._blocks.insert(index, self._parts.read(start, size))

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See :meth:`io.IOBase.seek`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._parts.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """See :meth:`io.IOBase.tell`."""
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes from here on; all of them unless a number is named."""
        left = max(self._parts.size - self._at, 0)
        size = left if size is None or size < 0 else min(size, left)
        found = self._held(self._at, size)
        if found is None:
            self.prefetch(self._at, max(size, self._ahead))
            found = self._held(self._at, size) or b""
        self._at += len(found)
        return found

    def _held(self, start: int, size: int) -> bytes | None:
        if size <= 0:
            return b""
        for first, block in zip(self._starts, self._blocks, strict=True):
            if first <= start and start + size <= first + len(block):
                return block[start - first : start - first + size]
        return None
