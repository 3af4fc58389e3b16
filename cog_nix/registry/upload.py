"""Brings one blob into a repository (OCI distribution-spec, "Pushing blobs").

What is there is left alone. What another repository of the registry has is mounted. The rest is sent in one
request, or in chunks where the registry asks for them or the blob is large, and is carried on with after a
cut where the registry still has the beginning.
"""

from __future__ import annotations

import functools
import io
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlencode

from cog_nix.errors import RegistryError
from cog_nix.fetch.failures import TransientError
from cog_nix.fetch.transport import whole_number
from cog_nix.image.pieces import cut, ranges, read
from cog_nix.registry.client import ACCEPTED, CREATED, NO_CONTENT, OK, absolute
from cog_nix.registry.failures import NOT_FOUND, MissingBlobsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    from cog_nix.image.pieces import Piece
    from cog_nix.registry.client import Repository

Outcome = Literal["there", "mounted", "uploaded"]

_PIECE = 1 << 20
_CHUNK_VARIABLE, _CHUNK = "COG_PUSH_DEFAULT_CHUNK_SIZE", 96 << 20
_THRESHOLD_VARIABLE, _THRESHOLD = "COG_PUSH_MULTIPART_THRESHOLD", 128 << 20
_MARGIN = 64 << 10
"""Proxies count a request's head as well."""
_TOO_LARGE = 413
_NO_CHUNKS = frozenset({400, 416, 501})
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_SMALLER = 4


class Readable(Protocol):
    """What is made while it is sent."""

    def pieces(self, start: int = 0) -> Iterator[Piece]:
        """Yield it from a byte on."""


@dataclass(frozen=True)
class Blob:
    """Content that a manifest names."""

    digest: str
    """``sha256:…``."""
    size: int
    content: bytes | Path | Readable | None
    """Something small, a file, or what is made as often as it is read. None: it is not here, and can only be
    there already, or be mounted."""

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield a range of its bytes.

        Raises:
            MissingBlobsError: it is not here.
            OSError: a file cannot be read.
            ImageError: files of the project have changed.
        """
        if self.content is None:
            raise MissingBlobsError((self.digest,))
        if isinstance(self.content, bytes):
            yield self.content[start:end]
        elif isinstance(self.content, Path):
            with io.FileIO(self.content) as file:
                yield from read(ranges(file, start, end - start))
        else:
            yield from read(cut(self.content.pieces(start), 0, end - start))


class _Slice:
    """Bytes of a blob, in pieces; can be read again, as redirects need it."""

    def __init__(self, blob: Blob, start: int, end: int, sent: Callable[[int], None]) -> None:
        self._blob, self._start, self._end, self._sent = blob, start, end, sent

    def __iter__(self) -> Iterator[bytes]:
        for data in self._blob.read(self._start, self._end):
            for begin in range(0, len(data), _PIECE):
                piece = memoryview(data)[begin : begin + _PIECE]
                yield bytes(piece)
                self._sent(len(piece))


class Upload:
    """One blob on its way.

    Args:
        repository: where to.
        blob: what.
        environment: upstream's ``COG_PUSH_DEFAULT_CHUNK_SIZE`` and ``COG_PUSH_MULTIPART_THRESHOLD``, bytes.
    """

    def __init__(
        self, repository: Repository, blob: Blob, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._repository, self._blob = repository, blob
        self._sent: Callable[[int], None] = lambda _: None
        self._largest = _number(environment, _CHUNK_VARIABLE, _CHUNK)
        self._threshold = _number(environment, _THRESHOLD_VARIABLE, _THRESHOLD)
        self._chunk = 0
        self._whole = False
        self._location = ""
        self._offset = 0
        self._shown = 0

    @property
    def blob(self) -> Blob:
        """What is on its way."""
        return self._blob

    def spare(self, sources: tuple[str, ...] = ()) -> Outcome | None:
        """Find out whether the blob is there, or have it mounted; None: it has to be uploaded.

        Args:
            sources: repositories of the same registry that may have it.

        Raises:
            RegistryError: the registry refuses, or cannot be reached.
            Cancelled: the work was given up.
        """
        if self._repository.send("HEAD", f"blobs/{self._blob.digest}", (OK, NOT_FOUND)).status_code == OK:
            return "there"
        for source in sources:
            # A registry may not let us read the other repository; then there is the upload.
            with suppress(RegistryError):
                if self._repository.retrying(functools.partial(self._start, source)):
                    return "mounted"
        return None

    def run(self, sent: Callable[[int], None]) -> Outcome:
        """Upload the blob.

        Args:
            sent: called with the number of bytes that went out; negative when they have to go again.

        Raises:
            RegistryError: the registry refuses, or cannot be reached.
            Cancelled: the work was given up.
        """
        self._sent = sent
        self._repository.retrying(self._send, progress=lambda: self._offset, again=self._find_out)
        return "uploaded"

    def _start(self, source: str = "") -> bool:
        """Open an upload, or have the blob mounted; return whether it was mounted."""
        query = f"?{urlencode({'mount': self._blob.digest, 'from': source})}" if source else ""
        url = self._repository.url(f"blobs/uploads/{query}")
        answer = self._repository.request(
            "POST", url, expected=(ACCEPTED, CREATED), headers={"Content-Length": "0"}
        )
        if answer.status_code == CREATED:
            return True
        self._location = absolute(answer)
        self._move_to(0)
        self._plan(answer)
        return False

    def _plan(self, answer: httpx.Response) -> None:
        """Decide on chunks, from what a registry says of them when an upload starts."""
        least = _header(answer, "OCI-Chunk-Min-Length")
        most = _header(answer, "OCI-Chunk-Max-Length")
        wanted = (most - _MARGIN if most > 2 * _MARGIN else most) or self._largest
        if not self._whole and (least or most or self._blob.size > self._threshold):
            self._chunk = self._chunk or max(wanted, least)

    def _send(self) -> None:
        """Send what is missing, from wherever the upload is."""
        if not self._location:
            self._start()
        size = self._blob.size
        try:
            while self._chunk and not self._whole and size - self._offset > self._chunk:
                self._patch(self._offset + self._chunk)
            if self._offset or self._chunk:
                # The rest is one more chunk: not every registry takes it with the PUT.
                if self._offset < size:
                    self._patch(size)
                self._put(0)
            else:
                self._put(size)
        except RegistryError as error:
            self._adapt(error)

    def _adapt(self, error: RegistryError) -> None:
        """Go about it in another way after a refusal: smaller chunks, or none.

        Raises:
            RegistryError: there is no other way left.
        """
        if error.status == _TOO_LARGE and self._blob.size > _PIECE:
            self._chunk = max((self._chunk or self._blob.size) // _SMALLER, _PIECE)
            if self._chunk == _PIECE and self._largest == _PIECE:
                raise error
            self._largest = self._chunk
        elif error.status in _NO_CHUNKS and (self._chunk or self._offset) and not self._whole:
            self._whole = True
            self._chunk = 0
        elif error.status != NOT_FOUND:  # a registry forgets uploads after a while
            raise error
        self._location = ""
        self._move_to(0)
        raise TransientError(str(error).partition("\n")[0]) from error

    def _patch(self, end: int) -> None:
        start, self._shown = self._offset, self._offset
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(end - start),
            "Content-Range": f"{start}-{end - 1}",
        }
        body = _Slice(self._blob, start, end, self._count)
        answer = self._repository.request(
            "PATCH", self._location, expected=(ACCEPTED, NO_CONTENT, CREATED), headers=headers, body=body
        )
        if "location" in answer.headers:
            self._location = absolute(answer)
        self._move_to(end)

    def _put(self, size: int) -> None:
        """Close the upload, with the whole blob (``size``) or nothing more (0)."""
        joiner = "&" if "?" in self._location else "?"
        url = f"{self._location}{joiner}{urlencode({'digest': self._blob.digest})}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        body = _Slice(self._blob, 0, size, self._count) if size else None
        self._repository.request("PUT", url, expected=(CREATED, NO_CONTENT), headers=headers, body=body)
        self._move_to(self._blob.size)

    def _find_out(self) -> None:
        """After a cut: ask how much has come, or begin again where the registry does not know."""
        if not self._location:
            return
        try:
            answer = self._repository.request("GET", self._location, expected=(NO_CONTENT, ACCEPTED, OK))
        except (RegistryError, TransientError):
            self._location = ""
            self._move_to(0)
            return
        found = _RANGE.fullmatch(answer.headers.get("range", ""))
        # "0-0" is what some registries say of nothing.
        offset = int(found[1]) + 1 if found and int(found[1]) else 0
        if "location" in answer.headers:
            self._location = absolute(answer)
        self._move_to(min(offset, self._blob.size))

    def _count(self, amount: int) -> None:
        self._shown += amount
        self._sent(amount)

    def _move_to(self, offset: int) -> None:
        """Note how much the registry has, and set the bar right."""
        self._offset = offset
        if self._shown != offset:
            self._sent(offset - self._shown)
            self._shown = offset


def _header(answer: httpx.Response, name: str) -> int:
    return whole_number(answer.headers.get(name, "")) or 0


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    return whole_number(environment.get(name, "")) or default
