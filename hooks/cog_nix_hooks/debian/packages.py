"""Packages indexes (Debian Policy 5.3, the archive's ``Packages`` files) as a quickly opened table.

The index of a suite's main component is 56 MB of text with 68 000 stanzas. It is read once: the fields that
matter for resolving go into an SQLite file in the cache, named after the index' sha256, and every later
look-up reads just the rows that it needs. Seen on two cores: 2 s to read trixie's the first time, under 1 ms
to open it again.
"""

from __future__ import annotations

import gzip
import lzma
import os
import re
import sqlite3
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING, Self, cast

from cog_nix.errors import LockError
from cog_nix.system import scratch

from .relations import Clause, Relation, parse_clauses, parse_relations, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FORMAT = 1
_CHUNK = 4_000_000
_KEEP_SECONDS = 30 * 24 * 3600
_FIELDS = (
    "Package",
    "Version",
    "Architecture",
    "Essential",
    "Priority",
    "Installed-Size",
    "Filename",
    "Size",
    "SHA256",
    "Pre-Depends",
    "Depends",
    "Provides",
    "Conflicts",
    "Breaks",
)
_FIELD = re.compile(rf"^({'|'.join(_FIELDS)}):[ \t]*(.*(?:\n[ \t].*)*)$", re.MULTILINE)
_FORMS = {
    "Package": re.compile("[a-zA-Z0-9][a-zA-Z0-9+.-]*"),
    "Version": re.compile("(?:[0-9]{1,9}:)?[A-Za-z0-9.+:~-]+"),
    "Size": re.compile("[0-9]{1,18}"),
    "Installed-Size": re.compile("[0-9]{1,18}"),
    "SHA256": re.compile("[0-9a-fA-F]{1,64}"),
}
"""What is counted, compared or put into a path later (Debian Policy 5.6)."""
_PRIORITIES = {"required": 0, "important": 1, "standard": 2, "optional": 3, "extra": 4}


@dataclass(frozen=True)
class Package:
    """One stanza of a Packages index, with the archive it stands in."""

    name: str
    version: str
    architecture: str
    essential: bool
    priority: str
    installed_size: int
    """Estimate in KiB (Policy 5.6.20)."""
    filename: str
    size: int
    sha256: str
    pre_depends_field: str
    depends_field: str
    provides_field: str
    conflicts_field: str
    breaks_field: str
    uri: str
    """Base URL that ``filename`` is relative to."""

    @cached_property
    def depends(self) -> tuple[Clause, ...]:
        """Pre-Depends and Depends."""
        return parse_clauses(self.pre_depends_field) + parse_clauses(self.depends_field)

    @cached_property
    def provides(self) -> tuple[Relation, ...]:
        """Virtual packages, each with a version when it has one (Policy 7.5)."""
        return parse_relations(self.provides_field)

    @cached_property
    def rejects(self) -> tuple[Relation, ...]:
        """Conflicts and Breaks: for a set that is installed as a whole, the two mean the same."""
        return parse_relations(self.conflicts_field) + parse_relations(self.breaks_field)

    @property
    def priority_rank(self) -> int:
        """Position of the priority in Policy 2.5, the most important first."""
        return _PRIORITIES.get(self.priority, len(_PRIORITIES))

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class PackagesIndex:
    """One Packages index.

    Args:
        database: what :func:`open_index` made.
        uri: base URL of the archive.
    """

    def __init__(self, database: Path, uri: str) -> None:
        self.uri = uri
        self._database = database

    @cached_property
    def _table(self) -> sqlite3.Connection:
        # Nobody writes to a finished file, so SQLite need not lock it.
        return sqlite3.connect(f"{self._database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)

    def close(self) -> None:
        """Close the file."""
        if "_table" in self.__dict__:
            self._table.close()
            del self._table

    def named(self, name: str) -> list[Package]:
        """Return the packages of a name (a suite may hold several versions)."""
        return self._select("WHERE package = ?", (name,))

    def providing(self, name: str) -> list[Package]:
        """Return the packages whose Provides has a name."""
        return self._select("WHERE rowid IN (SELECT package FROM provided WHERE name = ?)", (name,))

    def essential(self) -> list[Package]:
        """Return the packages with ``Essential: yes`` (Policy 3.8)."""
        return self._select("WHERE essential = 'yes'", ())

    def names(self) -> list[str]:
        """Return every package name, real and provided."""
        query = "SELECT package FROM packages UNION SELECT name FROM provided"
        return [row[0] for row in self._table.execute(query)]

    def _select(self, condition: str, values: tuple[str, ...]) -> list[Package]:
        rows = self._table.execute(f"SELECT * FROM packages {condition} ORDER BY rowid", values)  # noqa: S608
        return [self._package(row) for row in rows]

    def _package(self, row: tuple[str, ...]) -> Package:
        name, version, architecture, essential, priority, installed, filename, size, sha256 = row[:9]
        pre_depends, depends, provides, conflicts, breaks = row[9:]
        return Package(
            name,
            version,
            architecture,
            essential == "yes",
            priority,
            int(installed or 0),
            filename,
            int(size),
            sha256,
            pre_depends,
            depends,
            provides,
            conflicts,
            breaks,
            self.uri,
        )


class Catalogue:
    """Several indexes seen as one, the way apt sees its sources.

    Args:
        suite: the suite's name, for messages.
        indexes: the same version found in two of them is taken from the first.
        names: what each index' release is called (apt_preferences(5), "a" and "n"), as many as indexes.
    """

    def __init__(
        self, suite: str, indexes: tuple[PackagesIndex, ...], names: tuple[tuple[str, ...], ...] = ()
    ) -> None:
        self.suite = suite
        self._indexes = indexes
        self._releases = names
        self._named: dict[str, tuple[Package, ...]] = {}
        self._providing: dict[str, tuple[Package, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for index in self._indexes:
            index.close()

    def named(self, name: str) -> tuple[Package, ...]:
        """Return every version of a package, the highest first."""
        if name not in self._named:
            by_version: dict[str, Package] = {}
            for index in self._indexes:
                for package in index.named(name):
                    by_version.setdefault(package.version, package)
            ordered = sorted(
                by_version.values(), key=lambda package: version_of(package.version), reverse=True
            )
            self._named[name] = tuple(ordered)
        return self._named[name]

    @property
    def releases(self) -> tuple[str, ...]:
        """What the releases of all indexes are called."""
        return tuple(dict.fromkeys(name for names in self._releases for name in names))

    def in_release(self, name: str, release: str) -> tuple[Package, ...]:
        """Return the versions of a package that one release has, the highest first."""
        versions = {
            package.version
            for index, names in zip(self._indexes, self._releases, strict=True)
            if release in names
            for package in index.named(name)
        }
        return tuple(package for package in self.named(name) if package.version in versions)

    def providing(self, name: str) -> tuple[Package, ...]:
        """Return the packages that provide a virtual name: the most important first, then by name.

        Priority, then name, is how apt orders providers that nothing else sets apart.
        """
        if name not in self._providing:
            names = {package.name for index in self._indexes for package in index.providing(name)}
            found = [
                package
                for provider in names
                for package in self.named(provider)
                if any(relation.name == name for relation in package.provides)
            ]
            # Python's sort is stable: the versions of one name stay highest first.
            found.sort(key=lambda package: (package.priority_rank, package.name))
            self._providing[name] = tuple(found)
        return self._providing[name]

    def essential(self) -> tuple[str, ...]:
        """Return the names of the packages that every system has (Policy 3.8), sorted."""
        return tuple(sorted({package.name for index in self._indexes for package in index.essential()}))

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that can be asked for."""
        return frozenset(name for index in self._indexes for name in index.names())


def open_index(packages: Path, *, sha256: str, uri: str, cache_dir: Path) -> PackagesIndex:
    """Open a Packages file, reading it the first time it is seen.

    Args:
        packages: the file, compressed with xz or gzip or not at all.
        sha256: its hash, already verified.
        uri: base URL of the archive.
        cache_dir: where the table is kept.

    Raises:
        LockError: the file cannot be read as a Packages index.
    """
    database = cache_dir / f"packages-{_FORMAT}-{sha256}.sqlite"
    if not database.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        _forget_old_tables(cache_dir)
        try:
            with scratch.folder("new", cache_dir) as folder:  # SQLite writes a journal beside it
                new = folder / database.name
                _write_table(packages, new)
                _flush(new)
                new.replace(database)
        except sqlite3.OperationalError as error:
            raise LockError(
                f"{cache_dir}: the table of packages cannot be written: {error}",
                hint="Free some space, or name another folder in COG_NIX_CACHE_DIR, and run this again.",
            ) from error
        except (OSError, EOFError, lzma.LZMAError, zlib.error, ValueError, KeyError) as error:
            raise LockError(
                f"{uri}: the Packages index cannot be read: {error}",
                hint="The archive's index is broken. Try another mirror: [debian] mirror in cog-nix.toml.",
            ) from error
    return PackagesIndex(database, uri)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _forget_old_tables(cache_dir: Path) -> None:
    """Remove tables of indexes that the archive has long replaced; they are made anew in seconds."""
    for table in cache_dir.glob("packages-*.sqlite"):
        with suppress(OSError):
            if time.time() - table.stat().st_mtime > _KEEP_SECONDS:
                table.unlink()


def _write_table(packages: Path, database: Path) -> None:
    columns = ", ".join(field.lower().replace("-", "_") for field in _FIELDS)
    with closing(sqlite3.connect(database)) as table, table:
        # The file becomes visible only when complete, so a journal would only cost time.
        table.execute("PRAGMA journal_mode = OFF")
        table.execute("PRAGMA synchronous = OFF")
        table.execute(f"CREATE TABLE packages ({columns})")
        table.execute("CREATE TABLE provided (name, package)")
        for number, row in enumerate(_rows(packages), start=1):
            table.execute(f"INSERT INTO packages VALUES ({', '.join('?' * len(_FIELDS))})", row)  # noqa: S608
            if row[_FIELDS.index("Provides")]:
                provided = parse_relations(row[_FIELDS.index("Provides")])
                table.executemany(
                    "INSERT INTO provided VALUES (?, ?)", [(each.name, number) for each in provided]
                )
        table.execute("CREATE INDEX by_name ON packages (package)")
        table.execute("CREATE INDEX by_provided ON provided (name)")


def _rows(packages: Path) -> Iterator[list[str]]:
    for block in _blocks(packages):
        for stanza in block.split("\n\n"):
            fields = dict(_FIELD.findall(stanza))
            if fields:
                missing = {"Package", "Version", "Filename", "Size", "SHA256"} - fields.keys()
                if missing:
                    raise KeyError(f"a stanza lacks {', '.join(sorted(missing))}")
                for field, form in _FORMS.items():
                    if (value := fields.get(field)) and not form.fullmatch(value):
                        raise ValueError(f"{fields['Package']!r}: {value!r} is no {field}")
                yield [fields.get(field, "") for field in _FIELDS]


def _blocks(packages: Path) -> Iterator[str]:
    """Yield the text in pieces of whole stanzas.

    The next piece is decompressed in a thread meanwhile: liblzma works without the interpreter's lock, and
    halves the time on two cores.
    """
    rest = b""
    with _open(packages) as file, ThreadPoolExecutor(1) as ahead:
        upcoming = ahead.submit(file.read, _CHUNK)
        while chunk := upcoming.result():
            upcoming = ahead.submit(file.read, _CHUNK)
            whole, _, rest = (rest + chunk).rpartition(b"\n\n")
            yield whole.decode()
    yield rest.decode()


def _open(packages: Path) -> IO[bytes]:
    """Open by content, not by name: the cache may call files by their hash."""
    with packages.open("rb") as file:
        magic = file.read(6)
    if magic == b"\xfd7zXZ\0":
        return lzma.open(packages)
    if magic[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.open(packages))
    return packages.open("rb")
