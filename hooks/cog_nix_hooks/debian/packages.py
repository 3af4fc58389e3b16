"""Packages indexes (Debian Policy 5.3, the archive's ``Packages`` files) as a quickly opened table.

The index of a suite's main component is 56 MB of text with 68 000 stanzas. It is read once: the fields that
matter for resolving go into an SQLite file in the cache, named after the index' sha256, and every later
look-up reads just the rows that it needs. Seen on two cores: 2 s to read trixie's the first time, under 1 ms
to open it again.
"""

from __future__ import annotations

import gzip
import lzma
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import IO, TYPE_CHECKING, Any, Self, cast

from cog_nix.system.platforms import AMD64

from .relations import Clause, Relation, parse_clauses, parse_relations, version_of
from .tables import CHUNK, open_table

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

_FORMAT = 2
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
    native: str = AMD64.debian
    """The architecture that the index is of."""

    @cached_property
    def depends(self) -> tuple[Clause, ...]:
        """Pre-Depends and Depends."""
        return parse_clauses(self.pre_depends_field, self.native) + parse_clauses(
            self.depends_field, self.native
        )

    @cached_property
    def provides(self) -> tuple[Relation, ...]:
        """Virtual packages, each with a version when it has one (Policy 7.5)."""
        return parse_relations(self.provides_field, self.native)

    @cached_property
    def rejects(self) -> tuple[Relation, ...]:
        """Conflicts and Breaks: for a set that is installed as a whole, the two mean the same."""
        return parse_relations(self.conflicts_field, self.native) + parse_relations(
            self.breaks_field, self.native
        )

    @property
    def priority_rank(self) -> int:
        """Position of the priority in Policy 2.5, the most important first."""
        return _PRIORITIES.get(self.priority, len(_PRIORITIES))

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class PackagesIndex:
    """One Packages index.

    Args:
        table: what :func:`open_index` opened.
        uri: base URL of the archive.
        architecture: that it is of.
    """

    def __init__(self, table: sqlite3.Connection, uri: str, architecture: str = AMD64.debian) -> None:
        self._table, self._uri, self._architecture = table, uri, architecture

    def close(self) -> None:
        """Close the file."""
        self._table.close()

    def named(self, name: str) -> list[Package]:
        """Return the packages of a name (a suite may hold several versions)."""
        return self._select("WHERE package = ?", (name,))

    def providing(self, name: str) -> list[Package]:
        """Return the packages whose Provides has a name."""
        return self._select("WHERE rowid IN (SELECT package FROM provided WHERE name = ?)", (name,))

    def essential(self) -> list[Package]:
        """Return the packages with ``Essential: yes`` (Policy 3.8)."""
        return self._select("WHERE essential", ())

    def names(self) -> list[str]:
        """Return every package name, real and provided."""
        query = "SELECT package FROM packages UNION SELECT name FROM provided"
        return [row[0] for row in self._table.execute(query)]

    def _select(self, condition: str, values: tuple[str, ...]) -> list[Package]:
        query = f"SELECT *, ?, ? FROM packages {condition} ORDER BY rowid"  # noqa: S608 - our own
        return [Package(*row) for row in self._table.execute(query, (self._uri, self._architecture, *values))]


class Catalogue:
    """Several indexes seen as one, the way apt sees its sources.

    Args:
        suite: the suite's name, for messages.
        indexes: the same version found in two of them is taken from the first.
        names: what each index' release is called (apt_preferences(5), "a" and "n"), as many as indexes.
        architecture: that they are of.
    """

    def __init__(
        self,
        suite: str,
        indexes: tuple[PackagesIndex, ...],
        names: tuple[tuple[str, ...], ...] = (),
        architecture: str = AMD64.debian,
    ) -> None:
        self.suite, self.architecture = suite, architecture
        self._indexes = indexes
        self._releases = names
        self._named: dict[str, tuple[Package, ...]] = {}
        self._providing: dict[str, tuple[Package, ...]] = {}

    @property
    def title(self) -> str:
        """What to call it in messages."""
        of = "" if self.architecture == AMD64.debian else f" for {self.architecture}"
        return f"Debian {self.suite}{of}"

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

    def beside(self, names: Iterable[str], present: Collection[str]) -> list[Package]:
        """Return the highest version of each package that conflicts with none of those present."""
        found = (versions[0] for name in names if (versions := self.named(name)))
        return [
            package
            for package in found
            if not any(relation.name in present for relation in package.rejects if not relation.operator)
        ]

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


def open_index(
    packages: Path, *, sha256: str, uri: str, cache_dir: Path, architecture: str = AMD64.debian
) -> PackagesIndex:
    """Open a Packages file, reading it the first time it is seen.

    Args:
        packages: the file, compressed with xz or gzip or not at all.
        sha256: its hash, already verified.
        uri: base URL of the archive.
        cache_dir: where the table is kept.
        architecture: that it is of.

    Raises:
        BrokenIndexError: the file cannot be read as a Packages index.
        TableError: the table cannot be written.
    """
    table = open_table(
        cache_dir / f"packages-{_FORMAT}-{sha256}.sqlite",
        partial(_fill, packages),
        index=f"{uri}: the Packages index",
    )
    return PackagesIndex(table, uri, architecture)


def _fill(packages: Path, table: sqlite3.Connection) -> None:
    columns = ", ".join(field.lower().replace("-", "_") for field in _FIELDS)
    table.execute(f"CREATE TABLE packages ({columns})")
    table.execute("CREATE TABLE provided (name, package)")
    for number, row in enumerate(_rows(packages), start=1):
        table.execute(f"INSERT INTO packages VALUES ({', '.join('?' * len(_FIELDS))})", row)  # noqa: S608
        if provides := row[_FIELDS.index("Provides")]:
            provided = [(each.name, number) for each in parse_relations(provides)]
            table.executemany("INSERT INTO provided VALUES (?, ?)", provided)
    table.execute("CREATE INDEX by_name ON packages (package)")
    table.execute("CREATE INDEX by_provided ON provided (name)")


def _rows(packages: Path) -> Iterator[list[Any]]:
    """Yield the fields of each stanza as :class:`Package` has them."""
    for block in _blocks(packages):
        for stanza in block.split("\n\n"):
            fields: dict[str, Any] = dict(_FIELD.findall(stanza))
            if fields:
                missing = {"Package", "Version", "Filename", "Size", "SHA256"} - fields.keys()
                if missing:
                    raise KeyError(f"a stanza lacks {', '.join(sorted(missing))}")
                for field, form in _FORMS.items():
                    if (value := fields.get(field)) and not form.fullmatch(value):
                        raise ValueError(f"{fields['Package']!r}: {value!r} is not a {field}")
                fields["Essential"] = fields.get("Essential") == "yes"
                fields["Size"], fields["Installed-Size"] = (
                    int(fields.get(field) or 0) for field in ("Size", "Installed-Size")
                )
                yield [fields.get(field, "") for field in _FIELDS]


def _blocks(packages: Path) -> Iterator[str]:
    """Yield the text in pieces of whole stanzas.

    The next piece is decompressed in a thread in the background: liblzma works without the interpreter's
    lock, which halves the time on two cores.
    """
    rest = b""
    with _open(packages) as file, ThreadPoolExecutor(1) as ahead:
        upcoming = ahead.submit(file.read, CHUNK)
        while chunk := upcoming.result():
            upcoming = ahead.submit(file.read, CHUNK)
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
