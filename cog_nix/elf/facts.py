"""What a wheel says of itself without being installed: one value, wherever it is read from.

Whoever decides what an image lacks is handed :class:`Facts`, not files, so that these may as well come from
parts of a file or from a table by the wheel's sha256. See docs/design/wheel-facts.md.
"""

from __future__ import annotations

import csv
import email.parser
import enum
import hashlib
import io
import json
import re
import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from cog_nix.elf.names import named_in_wheel
from cog_nix.elf.scan import Scan, is_library
from cog_nix.elf.wheel import WheelFile, installed, libraries_of, scan_wheel
from cog_nix.elf.wheelfile import read_or_refused, text_of
from cog_nix.programs.wheels import ENTRY_POINTS, programs_of
from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1
"""Goes up with whatever makes the facts of a wheel others than they were."""
SMALLEST = 1 << 20
"""Bytes of a file that is worth a link."""

_METADATA = re.compile(r"^[^/]+\.dist-info/METADATA$")
_RECORD = re.compile(r"^[^/]+\.dist-info/RECORD$")
_SIZE = re.compile("[0-9]{1,18}")
_NOT_SITE_PACKAGES = re.compile(r"^[^/]+\.(data|dist-info)/")
_DIGEST = 32
"""Hexadecimal digits of a digest."""


class Depth(enum.Enum):
    """How much is read; each costs more than the one before."""

    FILES = "files"
    """The names of files: nothing is inflated."""
    LINKS = "links"
    """What the loader reads: dynamic sections."""
    TEXT = "text"
    """And the names of libraries that stand in files as text."""


_DYNAMIC_FILE = ("path", "needed", "search")
"""What a program or library is in JSON: a list."""


class LargeFile(msgspec.Struct, frozen=True, array_like=True):
    """A file that may be somewhere else as well; a list in JSON."""

    path: str
    """Below ``site-packages``."""
    digest: str
    """As RECORD has it: ``sha256=…``."""
    size: int
    program: bool
    """Whether it may be executed."""


@dataclass(frozen=True)
class Facts:
    """What a wheel has, needs and asks for."""

    scan: Scan
    named: tuple[tuple[str, str], ...] = ()
    """``(file, name)`` for each versioned name of a library that stands in a library as text."""
    requires: tuple[str, ...] = ()
    """Its Requires-Dist (core metadata), those of extras included."""
    large: tuple[LargeFile, ...] = ()
    """Files of :data:`SMALLEST` and more that land in ``site-packages``, by its RECORD."""
    programs: tuple[str, ...] = ()
    """Names of what it brings into ``/usr/local/bin``."""

    def seal(self, depth: Depth) -> str:
        """Return what tells these facts from others: the depth, the format and a digest."""
        digest = hashlib.sha256(_text(Known.of(self, depth).to_json())).hexdigest()[:_DIGEST]
        return f"{depth.value}-{FORMAT}-{digest}"


def sealed_depth(seal: str) -> Depth | None:
    """Return the depth of a seal; None: it is of another format, and says nothing here."""
    depth, _, rest = seal.partition("-")
    if rest.partition("-")[0] != str(FORMAT):
        return None
    return next((one for one in Depth if one.value == depth), None)


@dataclass(frozen=True)
class Known:
    """As much as was read of a wheel so far."""

    requires: tuple[str, ...] = ()
    large: tuple[LargeFile, ...] = ()
    programs: tuple[str, ...] = ()
    libraries: tuple[str, ...] | None = None
    """Paths of libraries by their names alone: what :attr:`Depth.FILES` says."""
    scan: Scan | None = None
    named: tuple[tuple[str, str], ...] | None = None
    whole: bool = False
    """Whether all of it was read from the whole file, whose hash was right."""

    @classmethod
    def of(cls, facts: Facts, depth: Depth, *, whole: bool = False) -> Known:
        """Return what facts of a depth say."""
        if depth is Depth.FILES:
            return cls(facts.requires, facts.large, facts.programs, facts.scan.libraries, whole=whole)
        named = facts.named if depth is Depth.TEXT else None
        return cls(facts.requires, facts.large, facts.programs, None, facts.scan, named, whole)

    def at(self, depth: Depth) -> Facts | None:
        """Return the facts of a depth, or None when it was not read so far."""
        if depth is Depth.FILES:
            scan = None if self.libraries is None else Scan(libraries=self.libraries)
        else:
            scan = self.scan
        named = self.named if depth is Depth.TEXT else ()
        if scan is None or named is None:
            return None
        return Facts(scan, named, self.requires, self.large, self.programs)

    def joined(self, other: Known) -> Known:
        """Return this with what it lacks; nothing of what was read in parts beside what was read whole."""
        if self.whole != other.whole:
            return self if self.whole else other
        return replace(
            self,
            libraries=other.libraries if self.libraries is None else self.libraries,
            scan=other.scan if self.scan is None else self.scan,
            named=other.named if self.named is None else self.named,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        if self.scan:
            data["scan"]["linked"] = [list(one.values()) for one in data["scan"].pop("files")]
        return {key: value for key, value in data.items() if value is not None and value is not False}

    @classmethod
    def from_json(cls, data: Any) -> Known:
        """Read what :meth:`to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        if "scan" in data:
            files = [dict(zip(_DYNAMIC_FILE, one, strict=True)) for one in data["scan"]["linked"]]
            data = {**data, "scan": {**data["scan"], "files": files}}
        return msgspec.convert(data, cls)


@dataclass(frozen=True)
class Memory:
    """What is known of wheels, by their sha256, for all projects.

    Args:
        folder: may be lost at any time.
    """

    folder: Path

    def recall(self, sha256: str) -> Known | None:
        """Return what is known of a wheel."""
        with suppress(OSError, KeyError, TypeError, ValueError):
            return Known.from_json(jsonvalue.loads(self._path(sha256).read_bytes()))
        return None

    def remember(self, sha256: str, known: Known) -> None:
        """Keep it, with what is known already."""
        previous = self.recall(sha256)
        write_atomically(self._path(sha256), _text((known.joined(previous) if previous else known).to_json()))

    def refute(self, seal: str) -> None:
        """Remember that a lock went by something that is not so."""
        write_atomically(self._refuted(seal), b"")

    def is_refuted(self, seal: str) -> bool:
        """Tell whether that was found out."""
        return self._refuted(seal).exists()

    def _refuted(self, seal: str) -> Path:
        return self.folder / "refuted" / hashlib.sha256(seal.encode()).hexdigest()

    def _path(self, sha256: str) -> Path:
        return self.folder / f"facts-v{FORMAT}" / sha256[:2] / f"{sha256}.json"


def read_facts(wheel: WheelFile, depth: Depth) -> Facts:
    """Read a wheel.

    Args:
        wheel: the file, or what parts of it can be had from.
        depth: how much to read.

    Raises:
        LockError: the file is no zip archive, or a damaged one.
        NoPartsError: the parts cannot be had.
    """
    with read_or_refused(wheel.name), wheel.opened() as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        wheel.expect(members, [info for info in members if _is_text(info.filename)])
        requires = _requires(text_of(archive, _METADATA))
        large = tuple(_large(text_of(archive, _RECORD), members))
        programs = programs_of([info.filename for info in members], text_of(archive, ENTRY_POINTS))
        if depth is Depth.FILES:
            names = sorted(installed(info.filename) for info in members if is_library(info.filename))
            return Facts(Scan(libraries=tuple(names)), (), requires, large, programs)
        named = named_in_wheel(wheel, libraries_of(members)) if depth is Depth.TEXT else ()
        return Facts(scan_wheel(wheel, members), named, requires, large, programs)


def _is_text(name: str) -> bool:
    return any(pattern.match(name) for pattern in (_METADATA, _RECORD, ENTRY_POINTS))


def _requires(metadata: str) -> tuple[str, ...]:
    return tuple(map(str, email.parser.HeaderParser().parsestr(metadata).get_all("Requires-Dist", [])))


def _large(record: str, members: list[zipfile.ZipInfo]) -> Iterator[LargeFile]:
    """Yield the files that are large and land in ``site-packages``.

    Raises:
        ValueError: the RECORD is damaged.
    """
    programs = {info.filename for info in members if info.external_attr >> 16 & 0o111}
    try:
        rows = list(csv.reader(io.StringIO(record, newline="")))
    except csv.Error as error:  # a field as long as no path
        raise ValueError(f"its RECORD is damaged: {error}") from error
    for row in rows:
        path, digest, size = (*row, "", "", "")[:3]
        if digest and _SIZE.fullmatch(size) and int(size) >= SMALLEST and not _NOT_SITE_PACKAGES.match(path):
            yield LargeFile(path, digest, int(size), path in programs)


def _text(data: dict[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":"), sort_keys=True).encode()
