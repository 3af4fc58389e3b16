"""Layers whose files are the project's own: what the store has of them, and where the files are.

The store has a folder for each such layer (:mod:`cog_nix.image.file_layers` makes it)::

    fragment.json     what the layer is, as of any other; its parts are the next, and the files
    directories.tar   its folders
    headers.tar       what stands before each file in the tar, one after the other
    files.tsv         a line for each file: where its header ends, its size, its sha256, its path as JSON

The files themselves are looked for where they were when the image was built, then in this folder, then in the
store of weights. A file whose status is still the one that it was hashed with is the same; any other has to
have its hash.
"""

from __future__ import annotations

import bisect
import hashlib
import io
import json
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cog_nix.errors import ImageError
from cog_nix.image.pieces import BLOCK, CHUNK, FileRange, cut, ranges
from cog_nix.system import jsonvalue
from cog_nix.system.paths import cache_dir
from cog_nix.system.status import Status, of, status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.image.pieces import Piece

FOLDER = "file-layers"
"""Name of the folder in the cache that knows where files of layers are."""
BY_DIGEST = "by-digest"
FOUND = "found.json"
"""What a folder of a layer there has beside ``layer``: where its files were, and their statuses."""
FORMAT = 1
UNKNOWN = "-"
"""Stands for the hash of a file that has none of its own."""
_SMALL = 1 << 18
"""Bytes of a file that is read at once, with others."""


class FileChangedError(ImageError):
    """A file changed since it was hashed, or while it was read."""

    def __init__(self, path: str, *, when: str = "since the image was built") -> None:
        super().__init__(hint="Build it again, once nothing writes to that file any more.")
        self.path, self.when = path, when

    def __str__(self) -> str:
        return f"{self.path} has changed {self.when}."


class FilesGoneError(ImageError):
    """Files of the project that an image has are nowhere.

    Args:
        root: where they were.
        paths: relative to it.
    """

    def __init__(self, root: str, paths: Sequence[str]) -> None:
        fetched = "`cog-nix weights pull` fetches them. Large files" if paths[0].startswith("/") else ""
        super().__init__(
            hint=f"{fetched or 'Put them back, or build the image again. Large files of a project'} are not "
            "copied into the Nix store: an image refers to them (see docs/design/large-files.md)."
        )
        self.root, self.paths = root, tuple(paths)

    def __str__(self) -> str:
        first, more = self.paths[0], len(self.paths) - 1
        others = f", nor {more} more of its files" if more else ""
        return f"The image has {first} of {self.root}, which is not there as it was{others}."


class Entry(NamedTuple):
    """A file of a layer."""

    header_end: int
    """Where its header ends in ``headers.tar``."""
    size: int
    sha256: str
    """Hexadecimal; :data:`UNKNOWN`."""
    path: str
    """Relative to the project; absolute in the image where the file is one of the store of weights."""

    def line(self) -> str:
        """Return it as ``files.tsv`` has it."""
        return f"{self.header_end}\t{self.size}\t{self.sha256}\t{json.dumps(self.path)}\n"

    @classmethod
    def parse(cls, line: str) -> Entry:
        """Read a line of ``files.tsv``."""
        end, size, sha256, path = line.split("\t")
        return cls(int(end), int(size), sha256, str(json.loads(path)))


def entries(folder: Path) -> list[Entry]:
    """Return the files of a layer, in their order.

    Args:
        folder: of the layer in the store.
    """
    text = (folder / "files.tsv").read_text(encoding="utf-8")
    return [Entry.parse(line) for line in text.splitlines()]


class Held(NamedTuple):
    """A file that the store of weights has."""

    path: str
    sha256: str
    """Hexadecimal."""
    size: int


class Place(NamedTuple):
    """Where a file of a layer is."""

    path: str
    status: Status | None
    """What it has to be; None: the file lies where only its content decides its name."""


@dataclass(frozen=True)
class Located:
    """A layer's files, found."""

    folder: Path
    """Of the layer in the store."""
    files: tuple[tuple[Entry, Place], ...]

    def pieces(self, start: int = 0) -> Iterator[Piece]:
        """Yield the layer's tar but for its folders and its end.

        Args:
            start: bytes of it to leave out; files that lie before are not looked at.

        Raises:
            OSError: a file cannot be read.
            FileChangedError: one has changed, also while it was read.
        """
        first, before = self._first(start)
        return cut(self._from(first), start - before, sys.maxsize)

    def _first(self, start: int) -> tuple[int, int]:
        """Return the number of the file that a byte belongs to, and how many bytes are before its header."""
        number = bisect.bisect_right(self._ends, start)
        return number, self._ends[number - 1] if number else 0

    @cached_property
    def _ends(self) -> list[int]:
        """Where each file ends in the tar, its padding included."""
        sizes = (
            self._header_size(number) + entry.size + -entry.size % BLOCK
            for number, (entry, _) in enumerate(self.files)
        )
        return list(accumulate(sizes))

    def _header_size(self, number: int) -> int:
        begin = self.files[number - 1][0].header_end if number else 0
        return self.files[number][0].header_end - begin

    def _from(self, first: int) -> Iterator[Piece]:
        waiting = bytearray()
        with (self.folder / "headers.tar").open("rb") as headers:
            headers.seek(self.files[first - 1][0].header_end if first else 0)
            for number, (entry, place) in enumerate(self.files[first:], first):
                waiting += headers.read(self._header_size(number))
                if entry.size <= _SMALL:
                    waiting += _content(entry, place)
                else:
                    yield bytes(waiting)
                    waiting.clear()
                    yield from _ranges(entry, place)
                waiting += bytes(-entry.size % BLOCK)
                if len(waiting) >= CHUNK:
                    yield bytes(waiting)
                    waiting.clear()
        yield bytes(waiting)


def _content(entry: Entry, place: Place) -> bytes:
    with _opened(entry, place) as file:
        data = os.read(file.fileno(), entry.size) if entry.size else b""
        _check(file, entry, place)
    if len(data) != entry.size:
        raise FileChangedError(place.path)
    return data


def _ranges(entry: Entry, place: Place) -> Iterator[FileRange]:
    with _opened(entry, place) as file:
        yield from ranges(file, 0, entry.size)
        _check(file, entry, place)


def _opened(entry: Entry, place: Place) -> io.FileIO:
    file = io.FileIO(place.path)
    try:
        _check(file, entry, place)
    except BaseException:
        file.close()
        raise
    return file


def _check(file: io.FileIO, entry: Entry, place: Place) -> None:
    found = of(os.fstat(file.fileno()))
    if found[3] != entry.size or (place.status and found != place.status):
        raise FileChangedError(place.path)


def located(diff_id: str, folder: Path, cache: Path | None = None) -> Located:
    """Find the files of a layer.

    Args:
        diff_id: the layer's digest.
        folder: of the layer in the store.
        cache: folder of the user's caches; None: the usual one.

    Raises:
        FilesGoneError: some are nowhere.
        OSError: the layer's list cannot be read.
    """
    found = recalled((cache or cache_dir()) / FOLDER / BY_DIGEST / diff_id.removeprefix("sha256:"))
    root, statuses = (found.root, found.statuses) if found else (str(Path.cwd()), ())
    listed = entries(folder)
    places: list[tuple[Entry, Place]] = []
    gone = []
    for number, entry in enumerate(listed):
        known = statuses[number] if len(statuses) == len(listed) else None
        place = _place(entry, dict.fromkeys((root, str(Path.cwd()))), known)
        if place:
            places.append((entry, place))
        else:
            gone.append(entry.path)
    if gone:
        raise FilesGoneError(root, gone)
    return Located(folder, tuple(places))


def _place(entry: Entry, roots: Mapping[str, None], known: Status | None) -> Place | None:
    """Return where a file is: unchanged at the first of the roots, or with its content anywhere."""
    paths = [] if entry.path.startswith("/") else [f"{root}/{entry.path}" for root in roots]
    if paths and known and status(paths[0]) == known:
        return Place(paths[0], known)
    if entry.sha256 == UNKNOWN:
        return None
    for path in paths:
        found = status(path)
        if found and found[3] == entry.size and _sha256(path) == entry.sha256 and status(path) == found:
            return Place(path, found)
    stored = f"{weights_folder(os.environ)}/files/sha256/{entry.sha256[:2]}/{entry.sha256}"
    found = status(stored, follow=True)
    return Place(stored, None) if found and found[3] == entry.size else None


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - text
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def weights_folder(environ: Mapping[str, str]) -> str:
    """Return the store of weights, which is upstream's as well."""
    if named := environ.get("COG_CACHE_DIR"):
        return os.path.abspath(f"{named}/weights")  # noqa: PTH100 - text
    base = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - text
    return os.path.abspath(f"{base}/cog/weights")  # noqa: PTH100 - text


class Found(NamedTuple):
    """What is remembered of a layer's files."""

    diff_id: str
    root: str
    """The project."""
    statuses: tuple[Status, ...]
    """In the order of the files."""
    certain: bool
    """Whether an equal status means an equal file: none had changed just before."""


def recalled(folder: Path) -> Found | None:
    """Return what is remembered in a folder of the cache; None: nothing, or nothing of use."""
    try:
        data = jsonvalue.loads((folder / FOUND).read_bytes())
        if data["format"] != FORMAT:
            return None
        statuses = tuple(list(map(int, one)) for one in jsonvalue.list_of(data["statuses"]))
        return Found(str(data["diff_id"]), str(data["root"]), statuses, bool(data["certain"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):  # the last: int() of 1e999
        return None


def remembered(found: Found) -> bytes:
    """Return what :func:`recalled` reads."""
    return json.dumps({"format": FORMAT, **found._asdict()}).encode()
