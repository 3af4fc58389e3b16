"""What is in an image, by name, version and size: as its lock says, or as the image itself does."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from cog_nix.compare.subject import NotKeptError
from cog_nix.config.requirements import normalised
from cog_nix.image.compression import BrokenLayerError
from cog_nix.image.databases import LARGEST, distribution
from cog_nix.lock.changes import Package
from cog_nix.lock.changes import packages as packages_of
from cog_nix.lock.upgrade import INTERPRETER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cog_nix.compare.subject import Subject
    from cog_nix.lock.model import Lock
    from cog_nix.plugins.spec import SystemDatabase

_METADATA = re.compile(r".*-packages/[^/]+\.dist-info/METADATA")
_FREEZE = "run.cog.pip_freeze"
"""The label that says which Python packages an image has."""
_NOT_FROZEN = frozenset({"pip", "setuptools", "wheel"})
"""What ``pip freeze`` leaves out."""
_FROZEN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:==(?P<version>\S+)| @ (?P<url>\S+))")


@dataclass(frozen=True)
class InventoryLayer:
    """A layer, or what will be one."""

    name: str
    key: str
    """The same for the same contents: a diff id, or a digest over what it is made of."""
    size: int
    """Bytes that who lacks it has to fetch, as far as that is known."""


@dataclass(frozen=True)
class Inventory:
    """What is in an image."""

    title: str
    packages: dict[str, Package]
    """By title, as locks have them."""
    layers: tuple[InventoryLayer, ...] = ()
    """From bottom to top."""
    lock: Lock | None = None
    """Which says who asked for what; None: it is an image's."""
    facts: tuple[tuple[str, str], ...] = ()
    """Other things that may change, such as the date of its packages: name and value."""


def of_lock(lock: Lock, title: str) -> Inventory:
    """Return what a lock says."""
    found = packages_of(lock)
    by_member = {f"deb:{one.name}": one for one in found.values() if one.deb}
    by_member |= {f"wheel:{one.name}": one for one in found.values() if one.kind == "python"}
    if INTERPRETER in found:
        by_member["interpreter"] = found[INTERPRETER]
    results = {f"run:{number}": run.nar_sha256 for number, run in enumerate(lock.runs)}
    layers = []
    for name, members in lock.layers:
        parts = [by_member[one].sha256 if one in by_member else results.get(one, one) for one in members]
        key = hashlib.sha256(json.dumps([members, parts]).encode()).hexdigest()
        size = sum(by_member[one].size for one in members if one in by_member)
        layers.append(InventoryLayer(name, key, size))
    dates = [index.date for index in lock.indexes]
    facts = (
        ("suite", lock.suite),
        ("packages of", max(dates, default="")),
        ("Python", lock.interpreter.version),
        ("commands", ", ".join(run.nar_sha256[:19] for run in lock.runs)),
    )
    return Inventory(title, found, tuple(layers), lock, facts)


def of_image(image: Subject, database: SystemDatabase) -> Inventory:
    """Return what an image says of itself: its database of system packages; Python's, or its label of that.

    Args:
        image: all of it is read, but for what a label says.
        database: of its system packages.

    Raises:
        ImageError: it cannot be read.
    """
    layers = tuple(InventoryLayer(one.name, one.diff_id, one.size) for one in image.layers)
    label = image.labels.get(_FREEZE)
    python = {} if label is None else dict(_frozen(label))
    system: dict[str, Package] = {}
    if image.open is None:
        raise NotKeptError(image.title)
    for number in reversed(range(len(image.layers))):
        with image.open(number) as stream:
            for path, data in _databases(stream, database.index, python=label is None):
                if path == database.index:
                    system = system or {
                        one.name: Package(one.name, one.version, database.kind)
                        for one in database.installed(data)
                    }
                elif found := distribution(data):
                    python.setdefault(*_python(*found[:2]))
        if system and label is not None:
            break
    facts = (("user", str((image.config.get("config") or {}).get("User") or "root")),)
    return Inventory(image.title, system | python, layers, None, facts)


def _databases(stream: IO[bytes], index: str, *, python: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a layer that name packages."""
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                path = str(PurePosixPath(member.name))
                if path == index or (python and _METADATA.fullmatch(path)):
                    if member.size > LARGEST:
                        raise BrokenLayerError(f"{path} has {member.size} bytes, more than any such file")
                    data = tar.extractfile(member)
                    if data:
                        yield path, data.read()
    except (tarfile.TarError, EOFError) as error:
        raise BrokenLayerError(f"it is not a tar: {error}") from error


def _frozen(text: str) -> Iterator[tuple[str, Package]]:
    """Yield the distributions of what ``pip freeze`` prints."""
    for line in text.splitlines():
        if found := _FROZEN.match(line.removeprefix("-e ")):
            yield _python(found["name"], found["version"] or "")


def _python(name: str, version: str) -> tuple[str, Package]:
    name = normalised(name)
    return f"{name} (Python)", Package(name, version, "python")


def told_by_images(packages: Mapping[str, Package]) -> dict[str, Package]:
    """Return those of a lock's packages that an image has and tells of."""
    return {
        title: one
        for title, one in packages.items()
        if not one.for_builds and one.kind != "interpreter" and one.name not in _NOT_FROZEN
    }
