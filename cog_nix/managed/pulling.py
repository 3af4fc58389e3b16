"""Fetches weights that are missing here from the registry; where they were imported from is never asked.

A plain layer with one file in it is fetched as that file: the bytes around it are known, so the file can be
carried on with after a cut, at the byte. Other layers are read from their beginning to their end.
"""

from __future__ import annotations

import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.errors import RegistryError
from cog_nix.fetch.download import download_all
from cog_nix.fetch.failures import TransientError, WrongFileError
from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.retry import Cancelled
from cog_nix.fetch.store import Store
from cog_nix.fetch.transport import OK, PARTIAL, Response
from cog_nix.lock.model import Artifact
from cog_nix.managed.source import WORKERS
from cog_nix.registry.failures import NOT_FOUND
from cog_nix.weights import tar
from cog_nix.weights.blob import PIECE, head_of
from cog_nix.weights.manifest import OCI_MANIFEST
from cog_nix.weights.model import TAR, TAR_GZIP
from cog_nix.weights.store import OtherContentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cog_nix.managed.source import Surroundings
    from cog_nix.registry.client import Repository
    from cog_nix.report import Bar
    from cog_nix.weights.model import LockedFile, LockedLayer, LockedWeight

_GZIP = 16 + zlib.MAX_WBITS
_ROOM = 1 << 16
"""Bytes that a tar may have for a file besides its contents: its headers, folders and padding."""


class NotInRegistryError(RegistryError):
    """A weight cannot be had from the registry as the lock has it.

    Args:
        name: of the weight.
        repository: where it was looked for.
        reason: what is wrong.
        hint: what to do next.
    """

    def __init__(self, name: str, repository: str, reason: str, *, hint: str) -> None:
        super().__init__(hint=hint)
        self.name, self.repository, self.reason = name, repository, reason

    def __str__(self) -> str:
        return f'weight "{self.name}" cannot be pulled from {self.repository}: {self.reason}'


@dataclass(frozen=True)
class PulledWeight:
    """What was fetched of a weight."""

    weight: LockedWeight
    files: int = 0
    size: int = 0
    """Bytes of those files."""
    layers: int = 0


def missing_files(weight: LockedWeight, around: Surroundings) -> list[LockedFile]:
    """Return the files of a weight that the store lacks."""
    return [file for file in weight.files if not around.store.held(file.digest, file.size)]


def pull(repository: Repository, weight: LockedWeight, around: Surroundings) -> PulledWeight:
    """Put the files of a weight into the store that it lacks.

    Raises:
        RegistryError: the registry refuses, cannot be reached, or has something else.
        FetchError: the store cannot be written to.
    """
    missing = missing_files(weight, around)
    if not missing:
        return PulledWeight(weight)
    _require_manifest(repository, weight)
    known = {layer.digest: layer for layer in weight.layers}
    needed = list(dict.fromkeys(file.layer for file in missing))
    if strange := [digest for digest in needed if digest not in known]:
        raise _wrong(repository, weight, f"weights.lock does not say what the layer {strange[0]} is")
    layers = [known[digest] for digest in needed]
    alone = {layer: weight.files_in(layer.digest)[0] for layer in layers if _holds_one(weight, layer)}
    others = [layer for layer in layers if layer not in alone]
    total = sum(layer.content_size for layer in layers)
    with around.reporter.bytes_bar(f"Pulling {weight.name}", total) as bar:
        try:
            _fetch_alone(repository, alone, around, bar)
            tasks = [
                partial(_Layer(repository, weight, layer, around).fetch, bar.advance) for layer in others
            ]
            run_all(tasks, WORKERS, around.cancelled)
        except WrongFileError as error:
            raise _wrong(repository, weight, error.message) from error
    return PulledWeight(weight, len(missing), sum(file.size for file in missing), len(layers))


def _require_manifest(repository: Repository, weight: LockedWeight) -> None:
    accepted = {"Accept": OCI_MANIFEST}
    answer = repository.send("HEAD", f"manifests/{weight.digest}", (OK, NOT_FOUND), accepted)
    if not weight.digest or answer.status_code == NOT_FOUND:
        raise _wrong(
            repository, weight, f"there is no manifest {weight.digest or '(weights.lock names none)'}"
        )


def _holds_one(weight: LockedWeight, layer: LockedLayer) -> bool:
    """Whether a layer is the plain one of one file, as far as sizes tell."""
    files = weight.files_in(layer.digest)
    if layer.media_type != TAR or len(files) != 1:
        return False
    whole = len(head_of(files[0])) + files[0].size + len(tar.padding(files[0].size)) + len(tar.END)
    return layer.size == whole


def _fetch_alone(
    repository: Repository, alone: Mapping[LockedLayer, LockedFile], around: Surroundings, bar: Bar
) -> None:
    """Download layers of one file each, as many at a time as downloads are."""
    artifacts = [
        Artifact(
            file.path, repository.url(f"blobs/{layer.digest}"), file.digest.removeprefix("sha256:"), file.size
        )
        for layer, file in alone.items()
    ]
    heads = {one.url: head_of(file) for one, file in zip(artifacts, alone.values(), strict=True)}
    sizes = {one.url: one.size for one in artifacts}
    if artifacts:
        download_all(
            artifacts,
            Store(around.store.files),
            _Inner(repository, heads, sizes),
            repository.policy,
            workers=WORKERS,
            cancelled=around.cancelled,
            bar=bar,
        )


@dataclass(frozen=True)
class _Inner:
    """Opens the one file in each of some layers as if the layer were that file."""

    repository: Repository
    heads: Mapping[str, bytes]
    """What stands before the file, by URL."""
    sizes: Mapping[str, int]
    """Of the file, in bytes."""

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Response]:
        """Ask for a file, or for the rest of it.

        Raises:
            TransientError: worth another try.
            RegistryError: the registry refuses.
        """
        asked = (headers or {}).get("Range", "bytes=0-")
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        head, size = len(self.heads[url]), self.sizes[url]
        wanted = {"Range": f"bytes={head + start}-"}
        with self.repository.open(url, wanted) as answer:
            if answer.status not in {OK, PARTIAL}:
                raise TransientError(f"the registry answered {answer.status} to a range")
            skip = 0 if answer.status == PARTIAL else head + start
            status = PARTIAL if start else OK
            told = {"content-range": f"bytes {start}-{size - 1}/{size}", "content-length": str(size - start)}
            yield Response(status, told, _part(answer.chunks, skip, size - start))


def _part(chunks: Iterator[bytes], skip: int, size: int) -> Iterator[bytes]:
    for chunk in chunks:
        piece = chunk[skip : skip + size]
        skip = max(skip - len(chunk), 0)
        size -= len(piece)
        if piece:
            yield piece


@dataclass(frozen=True)
class _Layer:
    """A layer that is read from its beginning to its end."""

    repository: Repository
    weight: LockedWeight
    layer: LockedLayer
    around: Surroundings

    def fetch(self, advance: Callable[[int], None]) -> None:
        """Put all of its files into the store."""
        told = 0

        def tell(position: int) -> None:
            nonlocal told
            if position > told:
                advance(position - told)
                told = position

        self.repository.retrying(lambda: self._attempt(tell))

    def _attempt(self, tell: Callable[[int], None]) -> None:
        url = self.repository.url(f"blobs/{self.layer.digest}")
        expected = {file.path: file for file in self.weight.files_in(self.layer.digest)}
        with self.repository.open(url) as answer:
            pieces = answer.chunks
            if self.layer.media_type == TAR_GZIP:
                pieces = self._unpacked(pieces, expected.values())
            try:
                self._store(_Reader(pieces), expected, tell)
            except (tarfile.TarError, zlib.error, EOFError) as error:
                raise TransientError(f"the layer {self.layer.digest} is damaged: {error}") from error
        if expected:
            raise self._wrong(f"it lacks {next(iter(expected))}")

    def _unpacked(self, pieces: Iterator[bytes], files: Iterable[LockedFile]) -> Iterator[bytes]:
        """Yield what gzip makes of pieces, a little at a time, up to what such files can take."""
        limit = sum(file.size + _ROOM for file in files) + _ROOM
        unpacker = zlib.decompressobj(_GZIP)
        for piece in pieces:
            waiting = piece
            while waiting and not unpacker.eof:
                found = unpacker.decompress(waiting, PIECE)
                waiting = unpacker.unconsumed_tail
                limit -= len(found)
                if limit < 0:
                    raise self._wrong("it unpacks to more than the files that weights.lock names")
                yield found
        if not unpacker.eof:
            raise EOFError("it ends early")

    def _store(self, reader: _Reader, expected: dict[str, LockedFile], tell: Callable[[int], None]) -> None:
        done = 0
        with tarfile.open(fileobj=reader, mode="r|", bufsize=PIECE) as archive:  # type: ignore[call-overload]
            for member in archive:
                if not member.isreg():
                    continue
                file = expected.pop(member.name, None)
                if file is None:
                    raise self._wrong(f"it holds {member.name}, which weights.lock does not name")
                stream = archive.extractfile(member)
                assert stream is not None  # noqa: S101 - for the type checker: it is a regular file
                if not self.around.store.held(file.digest, file.size):
                    try:
                        self.around.store.put(file.digest, file.size, iter(lambda: stream.read(PIECE), b""))  # noqa: B023 - read at once
                    except OtherContentError as error:
                        raise self._wrong(f"{file.path} is another file: {error}") from error
                if self.around.cancelled.is_set():
                    raise Cancelled
                done += file.size
                tell(done)

    def _wrong(self, reason: str) -> NotInRegistryError:
        return _wrong(self.repository, self.weight, f"layer {self.layer.digest}: {reason}")


class _Reader:
    """A stream of pieces, as :mod:`tarfile` reads one."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int) -> bytes:
        """Return the next bytes, as many as there are up to a size."""
        found = [self._rest]
        come = len(self._rest)
        while come < size and (piece := next(self._pieces, None)) is not None:
            found.append(piece)
            come += len(piece)
        whole = b"".join(found)
        self._rest = whole[size:]
        return whole[:size]


def _wrong(repository: Repository, weight: LockedWeight, reason: str) -> NotInRegistryError:
    hint = "Run `cog-nix weights import`, which brings them there, or name the repository in COG_MODEL_REPO."
    return NotInRegistryError(weight.name, repository.reference.name, reason, hint=hint)
