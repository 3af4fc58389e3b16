"""What a wheel says of itself without being installed: one value, wherever it is read from.

Whoever decides what an image lacks is handed :class:`Facts`, not files, so that these may as well come from a
part of a file or from a table by the wheel's sha256.
"""

from __future__ import annotations

import email.parser
import enum
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.elf.names import named_in_wheel
from cog_nix.elf.wheel import names_in_wheel, scan_wheel
from cog_nix.wheelfile import read_or_refused, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.elf.scan import Scan

_METADATA = re.compile(r"^[^/]+\.dist-info/METADATA$")


class Depth(enum.Enum):
    """How much is read; each costs more than the one before."""

    FILES = "files"
    """The names of files: nothing is inflated."""
    LINKS = "links"
    """What the loader reads: dynamic sections."""
    TEXT = "text"
    """And the names of libraries that stand in files as text."""


@dataclass(frozen=True)
class Facts:
    """What a wheel has, needs and asks for."""

    scan: Scan
    named: tuple[tuple[str, str], ...] = ()
    """``(file, name)`` for each versioned name of a library that stands in a library as text."""
    requires: tuple[str, ...] = ()
    """Its Requires-Dist (core metadata), those of extras included."""


def read_facts(path: Path, sha256: str, cache: Path, depth: Depth) -> Facts:
    """Read a wheel that was downloaded.

    Args:
        path: the wheel.
        sha256: its hash, already verified.
        cache: folder for results; may be lost at any time.
        depth: how much to read.

    Raises:
        LockError: the file is no zip archive, or a damaged one.
    """
    requires = _requires(path)
    if depth is Depth.FILES:
        return Facts(names_in_wheel(path), requires=requires)
    named = named_in_wheel(path, sha256, cache) if depth is Depth.TEXT else ()
    return Facts(scan_wheel(path, sha256, cache), named, requires)


def _requires(path: Path) -> tuple[str, ...]:
    with read_or_refused(path), zipfile.ZipFile(path) as archive:
        text = text_of(archive, _METADATA)
    return tuple(map(str, email.parser.HeaderParser().parsestr(text).get_all("Requires-Dist", [])))
