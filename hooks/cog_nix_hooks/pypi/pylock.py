"""Reads what uv wrote: ``pylock.toml`` (PEP 751) and the annotations of a requirements file."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from cog_nix.fetch import urls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_REQUIRED_BY = re.compile(r"\s+# via (?P<parents>.+)$")
_NAMED = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:===?|@)")


@dataclass(frozen=True)
class File:
    """One wheel of a package, as the index tells about it."""

    filename: str
    url: str
    sha256: str | None
    size: int | None


@dataclass(frozen=True)
class Package:
    """One resolved package."""

    name: str
    version: str
    marker: str
    wheels: tuple[File, ...]
    source: str = ""
    """Where it comes from when it is a source tree or a checkout."""


def read_pylock(path: Path) -> tuple[Package, ...]:
    """Return the packages of a pylock.toml."""
    known = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(_package(entry, path.parent) for entry in known.get("packages", []))


def read_requirers(text: str) -> dict[str, set[str]]:
    """Return what requires each package, from ``name==version  # via other, another`` lines."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        name = _name_of(line)
        via = _REQUIRED_BY.search(line)
        if name and via:
            parents = [parent.strip().partition("[")[0] for parent in via["parents"].split(",")]
            found[name] = {canonicalize_name(parent) for parent in parents if not parent.startswith("-")}
    return found


def _name_of(line: str) -> str | None:
    named = _NAMED.match(line)
    if named:
        return canonicalize_name(named["name"])
    filename = urls.filename_of(line.split("  # via ", maxsplit=1)[0].strip())
    try:
        return parse_wheel_filename(filename)[0]
    except InvalidWheelFilename:
        return None


def _package(entry: Mapping[str, Any], folder: Path) -> Package:
    files = [*entry.get("wheels", []), *([entry["archive"]] if "archive" in entry else [])]
    wheels = [file for file in (_file(known, folder) for known in files) if file.filename.endswith(".whl")]
    source = entry.get("vcs") or entry.get("directory") or entry.get("archive") or {}
    return Package(
        name=canonicalize_name(entry["name"]),
        version=str(entry.get("version", "")),
        marker=entry.get("marker", ""),
        wheels=tuple(wheels),
        source=str(source.get("url") or source.get("path") or ""),
    )


def _file(known: Mapping[str, Any], folder: Path) -> File:
    # PEP 751: a path is relative to the lock file, and one of url and path is there.
    url = known.get("url") or (folder / known["path"]).resolve().as_uri()
    return File(
        filename=known.get("name") or urls.filename_of(url),
        url=url.partition("#")[0],
        sha256=known.get("hashes", {}).get("sha256"),
        size=known.get("size"),
    )
