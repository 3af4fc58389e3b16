"""What changed from one lock to the next: as values, and in lines for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cog_nix.lock.upgrade import INTERPRETER

if TYPE_CHECKING:
    from cog_nix.lock.model import Artifact, Deb, Lock

Move = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class Package:
    """A package of an image, or of what it is built with."""

    name: str
    """Its own, which a package of another kind may have as well."""
    version: str
    """"": not known."""
    kind: str
    """``debian``, ``python``, ``interpreter``, ``toolkit`` or ``file``."""
    size: int = 0
    """Bytes of its file; 0: not known."""
    sha256: str = ""
    deb: Deb | None = None
    """Of a Debian package that a lock names."""
    for_builds: bool = False
    """Whether the image does not have it."""


@dataclass(frozen=True)
class Change:
    """A package that came, went or moved."""

    title: str
    """Its name, told apart from others that have the same: ``numpy (Python)``."""
    old: Package | None
    new: Package | None

    @property
    def move(self) -> Move:
        """What it did."""
        return "changed" if self.old and self.new else "added" if self.new else "removed"

    def __str__(self) -> str:
        versions = [one.version for one in (self.old, self.new) if one]
        return f"{self.move:<8} {self.title} {' -> '.join(versions)}"


def changes(previous: Lock | None, new: Lock) -> list[str]:
    """Return a line for each package that came, went or moved; one summary line for a first lock."""
    if previous is None:
        builds = f", and {new.toolkit.name} for builds" if new.toolkit else ""
        return [f"Locked {len(new.debs)} Debian packages and {len(new.wheels)} Python packages{builds}"]
    return sorted(map(str, moved(packages(previous), packages(new))))


def moved(old: dict[str, Package], new: dict[str, Package]) -> list[Change]:
    """Return what came, went or changed its version, by title.

    Args:
        old: packages by title.
        new: the same, later.
    """
    titles = sorted({*old, *new})
    found = [Change(title, old.get(title), new.get(title)) for title in titles]
    return [one for one in found if not (one.old and one.new) or _differ(one.old.version, one.new.version)]


def _differ(old: str, new: str) -> bool:
    """Whether two versions differ; one that is not known is any."""
    return bool(old and new) and old != new


def packages(lock: Lock) -> dict[str, Package]:
    """Return all packages of a lock, by title."""
    members = {one.removeprefix("deb:") for _, members in lock.layers for one in members}
    image = {deb.package for deb in lock.installed if deb.package in members or not lock.layers}
    found = {
        deb.package: _package(
            deb.package, deb.version, "debian", deb.artifact, deb, builds=deb.package not in image
        )
        for deb in lock.debs
    }
    if lock.interpreter.artifact:  # otherwise it is one of the packages
        python = lock.interpreter
        found[INTERPRETER] = _package(INTERPRETER, python.version, "interpreter", lock.interpreter.artifact)
    for wheel in lock.wheels:
        found[f"{wheel.name} (Python)"] = _package(wheel.name, wheel.version, "python", wheel.artifact)
    for file in lock.files:
        version = f"sha256:{file.sha256[:12]}"
        found[file.path] = Package(file.path, version, "file", file.size, file.sha256)
    return found | _for_builds(lock)


def _package(
    name: str,
    version: str,
    kind: str,
    artifact: Artifact,
    deb: Deb | None = None,
    *,
    builds: bool = False,
) -> Package:
    return Package(name, version, kind, artifact.size, artifact.sha256, deb, builds)


def _for_builds(lock: Lock) -> dict[str, Package]:
    """Return what the compiler for GPUs is made of, apart from what the image has of the same name."""
    if lock.toolkit is None:
        return {}
    parts = [(deb.package, deb.version, deb.artifact) for deb in lock.toolkit.debs]
    parts += [(wheel.name, wheel.version, wheel.artifact) for wheel in lock.toolkit.wheels]
    return {
        f"{name} ({lock.toolkit.name} for builds)": _package(name, version, "toolkit", artifact, builds=True)
        for name, version, artifact in parts
    }
