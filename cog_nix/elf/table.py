"""The facts of well-known large wheels, which come with cog-nix: locking need not look into these.

A zip archive with a member for each project, JSON of :class:`~cog_nix.elf.facts.Known` by sha256.
``scripts/write_wheel_facts.py`` writes it.
"""

from __future__ import annotations

import json
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.elf.facts import FORMAT, Known
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("wheels.zip")
_ALWAYS = (1980, 1, 1, 0, 0, 0)


def known(name: str, sha256: str) -> Known | None:
    """Return what the table has of a wheel.

    Args:
        name: the project's, normalised (PEP 503).
        sha256: of the wheel.
    """
    found = _project(FILE, name).get(sha256)
    return Known.from_json(found) if found else None


def projects() -> tuple[str, ...]:
    """Return the names of projects that the table has wheels of."""
    with zipfile.ZipFile(FILE) as archive:
        return tuple(name.rpartition("/")[2] for name in archive.namelist())


def wheels(name: str) -> dict[str, Known]:
    """Return what the table has of a project, by sha256."""
    return {sha256: Known.from_json(data) for sha256, data in _project(FILE, name).items()}


@cache
def _project(file: Path, name: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(file) as archive:
            found: dict[str, Any] = jsonvalue.loads(archive.read(_member(name)))
            return found
    except (KeyError, FileNotFoundError):
        return {}


def write(file: Path, entries: Mapping[str, Mapping[str, Known]]) -> int:
    """Write a table; return its size in bytes.

    Args:
        file: where to.
        entries: by project and sha256.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, wheels_of in sorted(entries.items()):
            if wheels_of:
                info = zipfile.ZipInfo(_member(name), _ALWAYS)
                info.compress_type = zipfile.ZIP_LZMA
                data = {sha256: one.to_json() for sha256, one in sorted(wheels_of.items())}
                archive.writestr(info, json.dumps(data, separators=(",", ":"), sort_keys=True))
    return file.stat().st_size


def _member(name: str) -> str:
    return f"v{FORMAT}/{name}"
