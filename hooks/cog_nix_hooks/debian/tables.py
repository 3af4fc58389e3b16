"""Indexes of the archive as SQLite tables in the cache: read once, named after the index' sha256."""

from __future__ import annotations

import lzma
import os
import sqlite3
import time
import zlib
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from cog_nix.system import scratch

from .errors import BrokenIndexError, TableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHUNK = 4_000_000
"""Bytes of an index that are read at a time."""
_KEEP_SECONDS = 30 * 24 * 3600
_BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError, KeyError)


def open_table(
    database: Path, fill: Callable[[sqlite3.Connection], None], *, index: str, signed: bool = True
) -> sqlite3.Connection:
    """Open the table of an index, making it the first time.

    Args:
        database: the table, in the cache.
        fill: reads the index into it.
        index: what the index is called, for messages.
        signed: whether the archive vouches for the index.

    Raises:
        BrokenIndexError: the index cannot be read.
        TableError: the table cannot be written.
    """
    if not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        _forget_old_tables(database)
        try:
            _make(database, fill)
        except sqlite3.OperationalError as error:
            raise TableError(database.parent, error) from error
        except _BROKEN as error:
            raise BrokenIndexError(index, f"cannot be read: {error}", signed=signed) from error
    # Nobody writes to a finished file, so SQLite need not lock it.
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _make(database: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    with scratch.folder("new", database.parent) as folder:  # SQLite writes a journal beside it
        new = folder / database.name
        with closing(sqlite3.connect(new)) as table, table:
            # The file becomes visible only when complete, so a journal would only cost time.
            table.execute("PRAGMA journal_mode = OFF")
            table.execute("PRAGMA synchronous = OFF")
            fill(table)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(database)


def _forget_old_tables(database: Path) -> None:
    """Remove tables of indexes that the archive has long replaced; they are made anew in seconds."""
    for table in database.parent.glob(f"{database.name.partition('-')[0]}-*.sqlite"):
        with suppress(OSError):
            if time.time() - table.stat().st_mtime > _KEEP_SECONDS:
                table.unlink()
