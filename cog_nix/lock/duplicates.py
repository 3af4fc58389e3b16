"""Files that wheels have twice: which become links to the first, decided from the wheels' RECORDs alone.

Wheels cannot hold links (PyPA binary distribution format), so a library with three names is in them three
times, and two wheels that ship the same library have it both. See docs/design/cuda.md.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.elf.scan import is_library
from cog_nix.wheelfile import read_or_refused, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Wheel

SMALLEST = 1 << 20
"""Bytes of a file that is worth a link."""
_SMALLEST_WHEEL = 1 << 16
_RECORD = re.compile(r"^[^/]+\.dist-info/RECORD$")
_SIZE = re.compile("[0-9]{1,18}")
_NOT_SITE_PACKAGES = re.compile(r"^[^/]+\.(data|dist-info)/")

Links = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""By wheel: ``(path, path of the same content)``, both below ``site-packages``."""


@dataclass(frozen=True)
class _File:
    wheel: str
    path: str
    content: tuple[str, int]
    """Hash with what else has to agree, and size."""


def find(wheels: Sequence[Wheel], files: Mapping[str, Path], order: Sequence[str]) -> Links:
    """Return the links to make.

    Args:
        wheels: all of the image's; those that are built from source are not there to be read.
        files: downloaded files by sha256.
        order: names of wheels from the lowest layer to the topmost: the lowest keeps its file.

    Raises:
        LockError: a wheel cannot be read.
    """
    position = {name: number for number, name in enumerate(order)}
    large = [wheel for wheel in wheels if wheel.source is None and wheel.artifact.size >= _SMALLEST_WHEEL]
    found = [file for wheel in large for file in _files(wheel.name, files[wheel.artifact.sha256])]
    # The longest name of a library is the file that its other names stand for (ldconfig(8)).
    found.sort(key=lambda file: (position[file.wheel], -len(file.path), file.path))
    first: dict[tuple[str, int], _File] = {}
    links: dict[str, list[tuple[str, str]]] = {}
    for file in found:
        kept = first.setdefault(file.content, file)
        if kept is not file:
            links.setdefault(file.wheel, []).append((file.path, kept.path))
    return tuple((name, tuple(sorted(pairs))) for name, pairs in sorted(links.items()))


def _rows(record: str) -> list[list[str]]:
    """Return the rows of a RECORD.

    Raises:
        ValueError: it has a field as long as no path.
    """
    try:
        return list(csv.reader(io.StringIO(record, newline="")))
    except csv.Error as error:
        raise ValueError(f"its RECORD is damaged: {error}") from error


def _files(name: str, wheel: Path) -> Iterator[_File]:
    """Yield the files of a wheel that are large and land in ``site-packages``."""
    with read_or_refused(wheel):
        with zipfile.ZipFile(wheel) as archive:
            text = text_of(archive, _RECORD)
            programs = {info.filename for info in archive.infolist() if info.external_attr >> 16 & 0o111}
        rows = _rows(text)
    for row in rows:
        path, digest, size = (*row, "", "", "")[:3]
        if digest and _SIZE.fullmatch(size) and int(size) >= SMALLEST and not _NOT_SITE_PACKAGES.match(path):
            # The kernel resolves a program's link before the loader asks where it is ($ORIGIN, ld.so(8)).
            is_program = path in programs and not is_library(path)
            folder = path.rpartition("/")[0] if is_program else ""
            yield _File(name, path, (f"{digest} {path in programs} {folder}", int(size)))
