"""What changed from one image or lock to another: packages, layers, bytes to fetch, who asked for what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cog_nix.compare.inventory import told_by_images
from cog_nix.errors import LockError
from cog_nix.lock.changes import moved
from cog_nix.lock.explain import Asked, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.compare.inventory import Inventory, InventoryLayer
    from cog_nix.lock.changes import Change, Package
    from cog_nix.lock.model import Lock

NOBODY = Asked(system={}, python={})
"""What a project asks for that is not here."""
_ALSO = "also needed by"


@dataclass(frozen=True)
class Diff:
    """What changed."""

    old: Inventory
    new: Inventory
    changes: tuple[Change, ...]
    facts: tuple[tuple[str, str, str], ...]
    """``(name, old, new)`` of other things that changed."""
    reasons: Mapping[str, Sequence[str]]
    """Why a package came, by title: sentences, from what needs it to whoever asks for that."""
    fixes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Security holes that a newer Debian package closes, by package."""

    @property
    def layered(self) -> bool:
        """Whether layers can be compared: of two locks, or of two images."""
        return bool(self.old.layers and self.new.layers) and bool(self.old.lock) == bool(self.new.lock)

    @property
    def shared(self) -> tuple[InventoryLayer, ...]:
        """Layers of the new one that the old one has as well."""
        held = {layer.key for layer in self.old.layers}
        return tuple(layer for layer in self.new.layers if layer.key in held)

    @property
    def fetched(self) -> tuple[InventoryLayer, ...]:
        """Layers that who has the old one lacks of the new one."""
        held = {layer.key for layer in self.old.layers}
        return tuple(layer for layer in self.new.layers if layer.key not in held)

    @property
    def bytes(self) -> int:
        """Of what who has the old one has to fetch."""
        return sum(layer.size for layer in self.fetched)

    def __bool__(self) -> bool:
        return bool(self.changes or self.facts or (self.layered and self.fetched))

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "old": self.old.title,
            "new": self.new.title,
            "same": not self,
            "packages": list(map(self._plain_change, self.changes)),
            "other": [{"name": name, "old": old, "new": new} for name, old, new in self.facts],
            **({"layers": self._plain_layers()} if self.layered else {}),
        }

    def _plain_change(self, change: Change) -> dict[str, Any]:
        one = change.new or change.old
        assert one  # noqa: S101 - for the type checker: one of them is there
        return {
            "name": one.name,
            "kind": one.kind,
            "change": change.move,
            "old": change.old.version if change.old else None,
            "new": change.new.version if change.new else None,
            "bytes": [side.size if side else 0 for side in (change.old, change.new)],
            "in_image": not one.for_builds,
            **({"because": list(self.reasons[change.title])} if self._came(change) else {}),
            **({"fixes": list(self.fixes[one.name])} if one.name in self.fixes else {}),
        }

    def _came(self, change: Change) -> bool:
        return change.move == "added" and change.title in self.reasons

    def _plain_layers(self) -> dict[str, Any]:
        return {
            "shared": [layer.name for layer in self.shared],
            "changed": [{"name": layer.name, "bytes": layer.size} for layer in self.fetched],
            "bytes": self.bytes,
        }


def diff(old: Inventory, new: Inventory, asked: Asked = NOBODY) -> Diff:
    """Return what changed.

    Args:
        old: an image or a lock.
        new: another one.
        asked: what the project names, whose lock the new one is.
    """
    sides = (old.packages, new.packages)
    if bool(old.lock) != bool(new.lock):
        sides = (told_by_images(old.packages), told_by_images(new.packages))
    changes = (*moved(*map(_in_image, sides)), *moved(*map(_for_builds, sides)))
    return Diff(old, new, changes, tuple(_facts(old, new)), dict(_reasons(changes, new.lock, asked)))


def _in_image(packages: Mapping[str, Package]) -> dict[str, Package]:
    return {title: one for title, one in packages.items() if not one.for_builds}


def _for_builds(packages: Mapping[str, Package]) -> dict[str, Package]:
    return {title: one for title, one in packages.items() if one.for_builds}


def _facts(old: Inventory, new: Inventory) -> Iterator[tuple[str, str, str]]:
    known = dict(old.facts)
    for name, value in new.facts:
        if name in known and known[name] != value:
            yield name, known[name], value


def _reasons(
    changes: Sequence[Change], lock: Lock | None, asked: Asked
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield why what came is there: the way from the package to whoever named one."""
    for change in changes:
        if not (lock and change.new) or change.old or change.new.kind == "toolkit":
            continue
        try:
            lines = explain(lock, change.new.name, asked)
        except LockError:  # the interpreter is not asked for by name
            continue
        way = [line.strip() for line in lines[1:] if line.startswith(" ")]
        if told := [line for line in way if not line.startswith(_ALSO)]:
            yield change.title, told
