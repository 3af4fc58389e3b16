"""Downloads into the store of weights: in parallel, carried on with after a cut, hashed and written once."""

from __future__ import annotations

import hashlib
import os
import posixpath
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.fetch.download import download_all, write_all
from cog_nix.fetch.failures import CacheError, TransientError, UnreachableError, WrongFileError
from cog_nix.fetch.retry import Cancelled, retry
from cog_nix.fetch.store import Store, part_of
from cog_nix.fetch.transport import PARTIAL, RANGE_NOT_SATISFIABLE, whole_number
from cog_nix.lock.model import Artifact
from cog_nix.managed.source import WORKERS
from cog_nix.weights.blob import PIECE, Measured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from cog_nix.fetch.transport import Opener, Response
    from cog_nix.managed.source import Surroundings
    from cog_nix.report import Bar
    from cog_nix.weights.model import File, LockedLayer

_PROMISED = (
    "What it was said to be is not what came. Import it again; if it stays so, tell whoever publishes it."
)


def download(
    wanted: Mapping[str, File], opener: Opener, around: Surroundings, bar: Bar
) -> dict[File, LockedLayer]:
    """Bring files of known digests into the store.

    Args:
        wanted: by URL.
        opener: opens those.
        around: what to work with.
        bar: shows the bytes.

    Returns:
        The plain layers that hold one file each; not of files that another process brought meanwhile.

    Raises:
        FetchError: one cannot be had, or is another file.
    """
    measured: dict[File, Measured] = {}

    def new(file: File) -> Measured:
        measured[file] = Measured(file)
        return measured[file]

    artifacts = [
        Artifact(posixpath.basename(file.path), url, _hex(file.digest), file.size)
        for url, file in wanted.items()
    ]
    try:
        download_all(
            artifacts,
            Store(around.store.files),
            opener,
            around.policy,
            workers=WORKERS,
            cancelled=around.cancelled,
            bar=bar,
            new_digests={_hex(file.digest): partial(new, file) for file in wanted.values()},
        )
    except WrongFileError as error:
        error.hint = _PROMISED
        raise
    return {file: one.layer() for file, one in measured.items() if one.hexdigest() == _hex(file.digest)}


@dataclass(frozen=True)
class Take:
    """A file of unknown digest on its way into the store.

    Args:
        url: where it is.
        opener: opens that.
        around: what to work with.
        advance: is told of bytes.
        etag: a strong one that the file has (RFC 9110, section 8.8.3): a later run carries on with what has
            come of that very file; "": each attempt begins anew, for nothing says that it is the same file.
    """

    url: str
    opener: Opener
    around: Surroundings
    advance: Callable[[int], None]
    etag: str = ""

    def run(self) -> tuple[str, int]:
        """Fetch it; return its digest and size.

        Raises:
            FetchError: it cannot be had.
        """
        store = self.around.store
        key = hashlib.sha256(f"{self.url}\0{self.etag}".encode()).hexdigest()
        incoming = Store(store.root / "incoming")
        try:
            with incoming.claim(Artifact(key, self.url, key, 0), self.around.cancelled) as part:
                if part is None:
                    raise Cancelled
                digest, size = self._fill(part)
                final = store.path(digest)
                final.parent.mkdir(parents=True, exist_ok=True)
                part_of(incoming.path(key)).replace(final)
        except OSError as error:
            raise CacheError(store.root, error) from error
        return digest, size

    def _fill(self, part: BinaryIO) -> tuple[str, int]:
        retry(
            lambda: self._attempt(part),
            self.around.policy,
            partial(UnreachableError, self.url),
            cancelled=self.around.cancelled,
            progress=lambda: part.seek(0, 2),
        )
        os.fsync(part.fileno())
        part.seek(0)
        found = hashlib.sha256()
        while piece := part.read(PIECE):
            found.update(piece)
        return f"sha256:{found.hexdigest()}", part.tell()

    def _attempt(self, part: BinaryIO) -> None:
        offset = part.seek(0, 2) if self.etag else 0
        headers = {"Range": f"bytes={offset}-", "If-Range": self.etag} if offset else {}
        with self.opener.open(self.url, headers) as response:
            if response.status == RANGE_NOT_SATISFIABLE:
                part.truncate(0)
                raise TransientError("the server cannot continue the file")
            if response.status != PARTIAL:
                offset = 0
            part.seek(offset)
            part.truncate()
            for chunk in response.chunks:
                if self.around.cancelled.is_set():
                    raise Cancelled
                write_all(part, chunk)
                self.advance(len(chunk))
            _check_complete(part.tell() - offset, response)


def _check_complete(come: int, response: Response) -> None:
    promised = whole_number(response.headers.get("content-length", ""))
    if promised is not None and come < promised and not response.headers.get("content-encoding"):
        raise TransientError(f"the connection ended after {come} of {promised} bytes")


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
