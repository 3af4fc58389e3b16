"""What two runs of one command leave otherwise, why that may be, and what usually helps.

The cause of a difference in a file's bytes is guessed from those bytes: a guess is marked by its being a
:class:`Cause`, and the bytes are shown with it.
"""

from __future__ import annotations

import enum
import filecmp
import re
import struct
import tarfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from cog_nix.image import tars
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_LARGEST = 16 << 20
"""Bytes of a file that is looked into for the cause."""
_SHOWN = 20
_ARCHIVES = ("directories.tar", "files.tar")
"""Of a result (the layout is that of ``nix/builders/archive.py``)."""


class Cause(enum.StrEnum):
    """Why two runs may leave something else."""

    CLOCK = "clock"
    ORDER = "order"
    NAME = "name"
    ATTRIBUTES = "attributes"
    CONTENTS = "contents"


CURES: Mapping[Cause, str] = {
    Cause.CLOCK: "SOURCE_DATE_EPOCH is set; what does not heed it has options of its own: gzip -n, zip -X, "
    "tar --mtime=@0, ar D. Or remove the file in the same command.",
    Cause.ORDER: "Sort what lists files or sets: `find … | sort`, LC_ALL=C, PYTHONHASHSEED=0, "
    "json.dumps(…, sort_keys=True); compile with one job.",
    Cause.NAME: "Give files fixed names, or make them in a folder that is removed in the same command.",
    Cause.ATTRIBUTES: "Set modes and owners in the same command: chmod, chown.",
    Cause.CONTENTS: "Name a version, a commit or a seed; PYTHONHASHSEED=0; pip install --no-compile; remove "
    "caches and logs in the same command.",
}
"""What usually helps."""


@dataclass(frozen=True)
class Finding:
    """A path that two runs of a command do not leave in the same way."""

    path: str
    cause: Cause
    detail: str
    """What is there instead, for people."""


@dataclass(frozen=True)
class Unsteady:
    """A command that leaves something else each time it runs."""

    where: str
    """It stands: ``cog.yaml:7``."""
    command: str
    findings: tuple[Finding, ...]

    def lines(self) -> Iterator[str]:
        """Yield what is to be told of it."""
        yield f"{self.where}: two runs of this command do not leave the same:"
        yield f"  {self.command}"
        for one in self.findings[:_SHOWN]:
            yield f"  {one.cause:<10}  /{one.path}: {one.detail}"
        if len(self.findings) > _SHOWN:
            yield f"  and {len(self.findings) - _SHOWN} more"
        for cause in Cause:
            if any(one.cause is cause for one in self.findings):
                yield f"  {cause}: {CURES[cause]}"


def compare(first: Path, second: Path) -> tuple[Finding, ...]:
    """Return what two results have otherwise, by path.

    Args:
        first: a folder with a result.
        second: another one.

    Raises:
        ImageError: one of them is none.
    """
    found: list[Finding] = []
    for name in _ARCHIVES:
        if filecmp.cmp(first / name, second / name, shallow=False):
            continue
        ours, theirs = _listed(first / name), _listed(second / name)
        if ours and theirs:
            with tarfile.open(first / name, "r:") as one, tarfile.open(second / name, "r:") as other:
                found += _shared(ours, theirs, one, other)
        found += _alone(ours, theirs)
    return tuple(sorted(found, key=lambda one: one.path))


def _listed(path: Path) -> dict[str, tars.Entry]:
    if not path.stat().st_size:  # which is no tar to who reads one
        return {}
    with path.open("rb") as stream:
        return {entry.path: entry for entry in tars.entries(stream)}


def _shared(
    ours: Mapping[str, tars.Entry],
    theirs: Mapping[str, tars.Entry],
    one: tarfile.TarFile,
    other: tarfile.TarFile,
) -> Iterator[Finding]:
    """Yield what stands in both, in two ways."""
    places, others = ({member.name.removeprefix("./"): member for member in tar} for tar in (one, other))
    for path, entry in ours.items():
        second = theirs.get(path)
        if second is None or second == entry:
            continue
        if entry.digest and second.digest and entry.digest != second.digest:
            yield _by_contents(path, _contents(one, places[path]), _contents(other, others[path]))
        else:
            told = "; ".join(map(str, tars.attributes(entry, second)))
            yield Finding(path, Cause.NAME if entry.target != second.target else Cause.ATTRIBUTES, told)


def _alone(ours: Mapping[str, tars.Entry], theirs: Mapping[str, tars.Entry]) -> Iterator[Finding]:
    """Yield what one run alone left: under another name as well, or not at all."""
    left = [one for path, one in ours.items() if path not in theirs]
    right = [one for path, one in theirs.items() if path not in ours]
    for entry in left:
        twin = next((one for one in right if _named_anew(entry, one)), None)
        if twin:
            right.remove(twin)
            yield Finding(entry.path, Cause.NAME, f"/{twin.path} the other time")
        else:
            yield Finding(entry.path, Cause.CONTENTS, "only one of the runs left it")
    for entry in right:
        yield Finding(entry.path, Cause.CONTENTS, "only one of the runs left it")


def _named_anew(one: tars.Entry, other: tars.Entry) -> bool:
    """Whether two paths look like one with a part that is made up each time."""
    if one.type != other.type or one.path.count("/") != other.path.count("/"):
        return False
    alike = _RANDOM.sub("#", one.path) == _RANDOM.sub("#", other.path)
    return alike or bool(one.digest and one.size and one.digest == other.digest)


def _contents(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member) if member.size <= _LARGEST else None
    return stream.read() if stream else b""


def _by_contents(path: str, first: bytes, second: bytes) -> Finding:
    where = tars.first_range(BytesIO(first), BytesIO(second))
    return Finding(path, cause_of(first, second), str(where) if where else "its bytes")


_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_CLOCK = re.compile(
    r"(?:19|20)\d\d[-/.]?[01]\d[-/.]?[0-3]\d"  # 2024-05-01, 20240501
    r"|[0-2]?\d:[0-5]\d(?::[0-6]\d(?:[.,]\d+)?)?"  # 12:30, 12:30:59.123
    rf"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?|(?:[0-3]?\d\s+)?(?:{_MONTHS})[a-z]*(?:\s+[0-3]?\d)?\b"
    r"|\b1[6-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?\b"  # seconds, ms, µs, ns since 1970
)
_RANDOM = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # RFC 9562
    r"|tmp[.]?[A-Za-z0-9_]{6,}|0x[0-9a-f]{6,}|[0-9a-f]{12,}"
    r"|(?<=[.-])(?=[A-Za-z]*\d|[a-z]*[A-Z])[A-Za-z0-9]{6,}|\d+"
)
_UNREADABLE = (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, OSError, OverflowError)
"""What the table of contents of a ZIP archive that is none may raise."""
_GZIP, _GZIP_CLOCK = b"\x1f\x8b", slice(4, 8)
"""RFC 1952, "MTIME"."""


def cause_of(first: bytes, second: bytes) -> Cause:
    """Guess why two files of a name differ, from their bytes."""
    if first[:2] == second[:2] == _GZIP and first[:4] + first[8:] == second[:4] + second[8:]:
        return Cause.CLOCK
    if (found := _by_zip(first, second)) is not None:
        return found
    ours, theirs = first.decode("latin-1"), second.decode("latin-1")
    if _CLOCK.sub("#", ours) == _CLOCK.sub("#", theirs):
        return Cause.CLOCK
    if _is_reordered(ours, theirs):
        return Cause.ORDER
    if _RANDOM.sub("#", ours) == _RANDOM.sub("#", theirs) and not _only_numbers(ours, theirs):
        return Cause.NAME
    return Cause.CONTENTS


def _only_numbers(ours: str, theirs: str) -> bool:
    """Whether two texts differ in plain numbers, which are counts as well as names."""
    return re.sub(r"\d+", "#", ours) == re.sub(r"\d+", "#", theirs)


def _is_reordered(ours: str, theirs: str) -> bool:
    """Whether two texts have the same lines, words or members, in another order."""
    with suppress(ValueError, RecursionError):  # the second: from the comparison of what is nested deep
        if jsonvalue.loads(ours) == jsonvalue.loads(theirs):
            return True
    return sorted(re.split(r"[\s,;\[\](){}]+", ours)) == sorted(re.split(r"[\s,;\[\](){}]+", theirs))


def _by_zip(first: bytes, second: bytes) -> Cause | None:
    """Return why two ZIP archives differ; None: they are none, or in contents."""
    if not first.startswith(b"PK\x03\x04"):
        return None
    with suppress(*_UNREADABLE):
        ours, theirs = (zipfile.ZipFile(BytesIO(one)).infolist() for one in (first, second))
        if _summed(ours) == _summed(theirs):
            return Cause.CLOCK
        if sorted(_summed(ours)) == sorted(_summed(theirs)):
            return Cause.ORDER
    return None


def _summed(members: Iterable[zipfile.ZipInfo]) -> list[tuple[str, int, int]]:
    return [(one.filename, one.CRC, one.file_size) for one in members]
