"""Contents indexes (the archive's ``Contents-amd64.gz``): which package has a library or a program.

A suite's index is 170 MB of text with 1.8 million lines. It is read once: the 26 000 lines about libraries
that the dynamic loader finds, and the 36 000 about programs in ``PATH``, go into an SQLite file in the cache,
named after the index' sha256. Seen on two cores: 1.7 s to read trixie's libraries, 12.7 MB to fetch.
"""

from __future__ import annotations

import gzip
import io
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cog_nix.system.platforms import AMD64

from .tables import CHUNK, open_table

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_FORMAT = 2

# Where the loader looks (ld.so(8), multiarch): not the private folders below, not the libraries of cross
# compilers and of other C libraries. The alternatives of BLAS and LAPACK lie a folder deeper; links point
# there.
_LINE = (
    r"^(?:usr/)?(?:lib/(?:{triplet}/)?(?:(?:blas|lapack)/)?([^/\s]+\.so(?:\.[^/\s]*)?)"
    r"|s?bin/([^/\s]+))[ \t]+(\S+)$"
)


class Contents:
    """The libraries and programs of a suite; a context manager that closes the file behind it."""

    def __init__(self, table: sqlite3.Connection) -> None:
        self._table = table

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._table.close()

    def packages(self, soname: str) -> tuple[str, ...]:
        """Return the packages with a library of this name, sorted."""
        return self._packages("library", soname)

    def packages_of_program(self, name: str) -> tuple[str, ...]:
        """Return the packages with a program of this name in a folder of ``PATH``, sorted."""
        return self._packages("program", name)

    def _packages(self, kind: str, name: str) -> tuple[str, ...]:
        rows = self._table.execute(
            "SELECT DISTINCT package FROM files WHERE name = ? AND kind = ? ORDER BY package", (name, kind)
        )
        return tuple(row[0] for row in rows)


def open_contents(
    index: Path | bytes, *, sha256: str, cache_dir: Path, signed: bool = True, triplet: str = AMD64.triplet
) -> Contents:
    """Open a Contents file, reading it the first time it is seen.

    Args:
        index: the file or what is in it, gzipped.
        sha256: its hash.
        cache_dir: where the table is kept.
        signed: whether the hash is one that the archive names.
        triplet: the folder of the architecture's libraries (multiarch).

    Raises:
        BrokenIndexError: the file cannot be read as a Contents index.
        TableError: the table cannot be written.
    """
    place = f"{index}: " if isinstance(index, Path) else ""
    table = open_table(
        cache_dir / f"contents-{_FORMAT}-{sha256}.sqlite",
        partial(_fill, index, triplet),
        index=f"{place}the Contents index",
        signed=signed,
    )
    return Contents(table)


def _fill(index: Path | bytes, triplet: str, table: sqlite3.Connection) -> None:
    table.execute("CREATE TABLE files (kind, name, package)")
    table.executemany("INSERT INTO files VALUES (?, ?, ?)", _rows(index, triplet))
    table.execute("CREATE INDEX by_name ON files (name)")


def _rows(index: Path | bytes, triplet: str) -> Iterator[tuple[str, str, str]]:
    line = re.compile(_LINE.format(triplet=re.escape(triplet)).encode(), re.MULTILINE)
    for block in _blocks(index):
        for soname, program, locations in line.findall(block):
            kind, name = ("library", soname) if soname else ("program", program)
            for location in locations.decode().split(","):
                # [[AREA/]SECTION/]PACKAGE
                yield kind, name.decode(errors="replace"), location.rpartition("/")[2]


def _blocks(index: Path | bytes) -> Iterator[bytes]:
    """Yield the text in pieces of whole lines."""
    rest = b""
    with gzip.open(index if isinstance(index, Path) else io.BytesIO(index)) as file:
        while chunk := file.read(CHUNK):
            whole, _, rest = (rest + chunk).rpartition(b"\n")
            yield whole
    yield rest
