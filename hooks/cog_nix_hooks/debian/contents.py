"""Contents indexes (the archive's ``Contents-amd64.gz``): which package has a library or a program.

A suite's index is 170 MB of text with 1.8 million lines. It is read once: the 26 000 lines about libraries
that the dynamic loader finds, and the 36 000 about programs in ``PATH``, go into an SQLite file in the cache,
named after the index' sha256. Seen on two cores: 1.7 s to read trixie's libraries, 12.7 MB to fetch.
"""

from __future__ import annotations

import gzip
import io
import re
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cog_nix.errors import LockError
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMAT = 2
_CHUNK = 4_000_000

# Where the loader looks (ld.so(8), multiarch): not the private folders below, not the libraries of cross
# compilers and of other C libraries. The alternatives of BLAS and LAPACK lie a folder deeper; links point
# there.
_LINE = re.compile(
    rb"^(?:usr/)?(?:lib/(?:x86_64-linux-gnu/)?(?:(?:blas|lapack)/)?([^/\s]+\.so(?:\.[^/\s]*)?)"
    rb"|s?bin/([^/\s]+))[ \t]+(\S+)$",
    re.MULTILINE,
)


class BrokenIndexError(LockError):
    """What is no Contents index, and nobody has vouched for."""


class Contents:
    """The libraries and programs of a suite; a context manager that closes the file behind it."""

    def __init__(self, database: Path) -> None:
        # Nobody writes to a finished file, so SQLite need not lock it.
        self._table = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)

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


def open_contents(index: Path | bytes, *, sha256: str, cache_dir: Path, signed: bool = True) -> Contents:
    """Open a Contents file, reading it the first time it is seen.

    Args:
        index: the file or what is in it, gzipped.
        sha256: its hash.
        cache_dir: where the table is kept.
        signed: whether the hash is one that the archive names.

    Raises:
        BrokenIndexError: the file cannot be read as a Contents index, and the hash is anybody's.
        LockError: the file cannot be read as a Contents index, or the table not written.
    """
    database = cache_dir / f"contents-{_FORMAT}-{sha256}.sqlite"
    if not database.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        try:
            with scratch.folder("new", cache_dir) as folder:  # SQLite writes a journal beside it
                new = folder / database.name
                _write_table(index, new)
                new.replace(database)
        except sqlite3.OperationalError as error:
            raise LockError(
                f"{cache_dir}: the table of libraries cannot be written: {error}",
                hint="Free some space, or name another folder in COG_NIX_CACHE_DIR, and run this again.",
            ) from error
        except (OSError, EOFError, zlib.error, ValueError) as error:
            place = f"{index}: " if isinstance(index, Path) else ""
            kind = LockError if signed else BrokenIndexError
            raise kind(
                f"{place}the Contents index cannot be read: {error}",
                hint="The archive's index is broken. Try another mirror: [debian] mirror in cog-nix.toml.",
            ) from error
        _forget_others(database)
    return Contents(database)


def _forget_others(database: Path) -> None:
    """Remove tables of indexes that have not been asked for in a long time: point releases bring new ones."""
    tables = sorted(database.parent.glob("contents-*.sqlite"), key=lambda path: path.stat().st_mtime)
    for table in tables[:-4]:
        if table != database:
            table.unlink(missing_ok=True)


def _write_table(index: Path | bytes, database: Path) -> None:
    with closing(sqlite3.connect(database)) as table, table:
        # The file becomes visible only when complete, so a journal would only cost time.
        table.execute("PRAGMA journal_mode = OFF")
        table.execute("CREATE TABLE files (kind, name, package)")
        table.executemany("INSERT INTO files VALUES (?, ?, ?)", _rows(index))
        table.execute("CREATE INDEX by_name ON files (name)")


def _rows(index: Path | bytes) -> Iterator[tuple[str, str, str]]:
    for block in _blocks(index):
        for soname, program, locations in _LINE.findall(block):
            kind, name = ("library", soname) if soname else ("program", program)
            for location in locations.decode().split(","):
                # [[AREA/]SECTION/]PACKAGE
                yield kind, name.decode(errors="replace"), location.rpartition("/")[2]


def _blocks(index: Path | bytes) -> Iterator[bytes]:
    """Yield the text in pieces of whole lines."""
    rest = b""
    with gzip.open(index if isinstance(index, Path) else io.BytesIO(index)) as file:
        while chunk := file.read(_CHUNK):
            whole, _, rest = (rest + chunk).rpartition(b"\n")
            yield whole
    yield rest
