"""Whose the files of an image are: its databases of packages say it, and places what they leave out.

Any image is read in this way, whoever built it.
"""

from __future__ import annotations

import csv
import posixpath
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cog_nix.image.databases import distribution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cog_nix.explain.contents import Contents, File
    from cog_nix.plugins.spec import InstalledPackage, SystemDatabase

KINDS = {
    "python": "Python packages",
    "interpreter": "Python",
    "nix": "Nix packages",
    "command": "commands",
    "project": "the project",
    "other": "other files",
}
"""What owners are, besides system packages."""
_DISTRIBUTION = re.compile(r"(?P<site>.*-packages)/(?P<folder>[^/]+\.dist-info)/(?P<file>RECORD|METADATA)")
_MERGED = re.compile(r"(?:bin|sbin|lib|lib32|lib64|libx32)/")
"""Folders that are links to those of ``/usr`` (Debian Policy, 10.1)."""
_COMPILED = re.compile(r"(?P<folder>.*/)?__pycache__/(?P<name>[^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc")
_STORE_PATH = re.compile(r"nix/store/[0-9a-z]{32}-(?P<name>[^/]+)")
_COMMAND = re.compile(r"run-(?P<number>\d+)")
_SITE = re.compile(r"(?P<top>.*-packages/[^/]+)/")


@dataclass(frozen=True)
class Owner:
    """What a file is part of."""

    kind: str
    """One of ``KINDS``, or what the database of system packages calls its own."""
    name: str
    version: str = ""
    """"": it has none, or it is not known."""

    @property
    def key(self) -> str:
        """It, told apart from others of the same name: ``python:numpy``."""
        return f"{self.kind}:{self.name}"


PROJECT = Owner("project", "source")
REST = Owner("other", "files of no package")


@dataclass(frozen=True)
class Distribution:
    """A Python package of an image."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    requires: tuple[str, ...]
    """Its ``Requires-Dist`` (PyPA core metadata)."""


@dataclass(frozen=True)
class Databases:
    """What an image says of its packages."""

    layers: Sequence[Contents]
    database: SystemDatabase
    """Of system packages."""

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The databases by path, as the topmost layer has them."""
        found: dict[str, bytes] = {}
        for one in self.layers:
            found |= one.databases
        return found

    @cached_property
    def system(self) -> dict[str, InstalledPackage]:
        """The system packages by name."""
        index = self.files.get(self.database.index, b"")
        return {one.name: one for one in self.database.installed(index)}

    @cached_property
    def python(self) -> dict[str, Distribution]:
        """The Python packages by the folder of their metadata."""
        found = {}
        for path, data in self.files.items():
            place = _DISTRIBUTION.fullmatch(path)
            if place and place["file"] == "METADATA" and (known := distribution(data)):
                name, version, fields = known
                requires = tuple(map(str, fields.get_all("Requires-Dist", [])))
                found[path.rpartition("/")[0]] = Distribution(name, version, requires)
        return found

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """The Python packages by name."""
        return {one.name: one for one in self.python.values()}

    @cached_property
    def owned(self) -> dict[str, Owner]:
        """What each file that a database names is part of, by path."""
        found: dict[str, Owner] = {}
        for path, data in self.files.items():
            if name := self.database.owner(path):
                known = self.system.get(name)
                found[path] = owner = Owner(self.database.kind, name, known.version if known else "")
                found.update(dict.fromkeys(map(_merged, data.decode("utf-8", "replace").splitlines()), owner))
        for path, data in self.files.items():
            place = _DISTRIBUTION.fullmatch(path)
            one = self.python.get(path.rpartition("/")[0])
            if place and one and place["file"] == "RECORD":
                owner = Owner("python", one.name, one.version)
                found.update(dict.fromkeys(_recorded(place["site"], data), owner))
        return found


def _merged(path: str) -> str:
    """Return where a path of a package is once ``/bin`` and the like are links."""
    path = path.lstrip("/")
    return f"usr/{path}" if _MERGED.match(path) else path


def _recorded(site: str, record: bytes) -> Iterator[str]:
    """Yield the files of a RECORD (PyPA, "Recording installed projects")."""
    try:
        for row in csv.reader(record.decode("utf-8", "replace").splitlines()):
            if row:
                yield posixpath.normpath(posixpath.join("/", site, row[0])).lstrip("/")
    except csv.Error:
        return


def owners(databases: Databases, names: Sequence[str], python: str) -> list[list[tuple[File, Owner]]]:
    """Return whose the files of each layer are.

    Args:
        databases: of its layers, from bottom to top.
        names: of the layers, where the image says them; "" otherwise.
        python: version of the interpreter, as the image is said to have it.
    """
    owned = databases.owned
    tops = dict(_tops(owned))
    database = databases.database
    places = {
        "src/": PROJECT,
        f"{posixpath.dirname(database.index)}/": Owner("other", f"{database.program}'s database"),
        **dict.fromkeys(("usr/local/", "root/.pyenv/"), Owner("interpreter", "Python", python)),
    }
    found = []
    for one, name in zip(databases.layers, names, strict=True):
        command = _COMMAND.fullmatch(name)
        ran = Owner("command", f"command {int(command['number']) + 1}") if command else None

        def whose(path: str, ran: Owner | None = ran) -> Owner:
            return owned.get(_merged(path)) or _placed(path, owned, tops, ran, places)

        found.append(list(_with_folders(one.files, whose)))
    return found


def _tops(owned: Mapping[str, Owner]) -> Iterator[tuple[str, Owner]]:
    """Yield the folders of ``site-packages`` that have files of one package alone."""
    several: dict[str, set[Owner]] = {}
    for path, owner in owned.items():
        if owner.kind == "python" and (place := _SITE.match(path)):
            several.setdefault(place["top"], set()).add(owner)
    return ((top, *found) for top, found in several.items() if len(found) == 1)  # type: ignore[misc] # one


def _placed(
    path: str,
    owned: Mapping[str, Owner],
    tops: Mapping[str, Owner],
    ran: Owner | None,
    places: Mapping[str, Owner],
) -> Owner:
    """Return whose a file is that no database names."""
    compiled, place, store = _COMPILED.fullmatch(path), _SITE.match(path), _STORE_PATH.match(path)
    source = owned.get(f"{compiled['folder'] or ''}{compiled['name']}.py") if compiled else None
    known = source or (tops.get(place["top"]) if place else None)
    if known is None and store:
        known = Owner("nix", store["name"])
    if known or ran:
        return known or ran or REST
    return next((owner for start, owner in places.items() if path.startswith(start)), REST)


def _with_folders(files: Sequence[File], whose: Callable[[str], Owner]) -> Iterator[tuple[File, Owner]]:
    """Yield files with their owners; a folder is whose the first file below it is."""
    found = [(one, whose(one.path)) for one in files if not one.folder]
    folders: dict[str, Owner] = {}
    for one, owner in found:
        folder = posixpath.dirname(one.path)
        while folder and folder not in folders:
            folders[folder] = owner
            folder = posixpath.dirname(folder)
    yield from found
    yield from ((one, folders.get(one.path, REST)) for one in files if one.folder)
