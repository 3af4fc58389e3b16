"""What an import would do: what sources offer now, held against what was imported before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from cog_nix.errors import ConfigError
from cog_nix.managed.folder import FolderSource
from cog_nix.managed.hub import HubSource
from cog_nix.managed.source import SourceError
from cog_nix.managed.url import UrlSource
from cog_nix.weights.lock import changes, sources_of
from cog_nix.weights.patterns import chosen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Weight
    from cog_nix.managed.source import Inventory, Listed, Source, Surroundings
    from cog_nix.weights.model import File, LockedSource, LockedWeight, WeightsLock

Status = Literal["new", "unchanged", "config-changed", "upstream-changed"]


class NoFilesError(ConfigError):
    """The patterns of a source leave none of its files.

    Args:
        name: of the weight.
        source: whose patterns.
        offered: how many files there are.
    """

    def __init__(self, name: str, source: LockedSource, offered: int) -> None:
        hint = "Correct `include` and `exclude` in cog.yaml." if offered else "Name a source that has files."
        super().__init__(hint=hint)
        self.name, self.source, self.offered = name, source, offered

    def __str__(self) -> str:
        if not self.offered:
            return f'weight "{self.name}": {self.source.uri} has no files'
        matched = f"include/exclude patterns matched zero files out of {self.offered}"
        lines = [f'weight "{self.name}": {matched} in {self.source.uri}']
        for key, patterns in (("include", self.source.include), ("exclude", self.source.exclude)):
            lines += [f"  {key}: {', '.join(patterns)}"] if patterns else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Plan:
    """What would be imported of one weight."""

    weight: Weight
    status: Status
    changes: tuple[str, ...]
    """What is not as it was, for people."""
    sources: tuple[LockedSource, ...]
    """With their fingerprints."""
    files: tuple[File, ...]
    """By path."""
    excluded: tuple[Listed, ...]
    """What the patterns leave out, by path."""
    owners: Mapping[str, Source]
    """Which source has a file, by its path."""

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(file.size for file in self.files)


def plan(weight: Weight, lock: WeightsLock, project: Path, around: Surroundings) -> Plan:
    """Look at the sources of a weight.

    Args:
        weight: as cog.yaml has it.
        lock: what was imported before.
        project: the folder that relative paths are in.
        around: what to work with.

    Raises:
        CogNixError: a source cannot be read, or its patterns leave no file.
    """
    known = lock.find(weight.name)
    files: dict[str, File] = {}
    owners: dict[str, Source] = {}
    left_out: dict[str, Listed] = {}
    sources = []
    for locked in sources_of(weight):
        source = source_of(locked.uri, project, around)
        inventory = source.inventory(known)
        taken = _chosen(weight.name, locked, inventory)
        left_out |= {one.path: one for one in inventory.files if one not in taken}
        for file in source.complete(taken, known):
            if file.path in files:
                around.reporter.info(f'weight "{weight.name}": {locked.uri} overrides {file.path}')
            files[file.path], owners[file.path] = file, source
        sources.append(replace(locked, fingerprint=inventory.fingerprint))
    status, told = _compare(weight, sources, known)
    ordered = sorted(files, key=str.encode)
    return Plan(
        weight,
        status,
        tuple(told),
        tuple(sources),
        tuple(files[path] for path in ordered),
        tuple(one for path, one in sorted(left_out.items()) if path not in files),
        owners,
    )


def source_of(uri: str, project: Path, around: Surroundings) -> Source:
    """Return what reads a source, by its URI as the lock has it."""
    scheme = uri.partition("://")[0]
    if scheme == "hf":
        return HubSource(uri, around)
    if scheme in {"http", "https"}:
        return UrlSource(uri, around)
    if scheme == "file":
        return FolderSource(uri, project, around)
    raise SourceError(uri, "this is not a source", hint=f"Correct its {around.key}.")


def _chosen(name: str, source: LockedSource, inventory: Inventory) -> list[Listed]:
    taken = [one for one in inventory.files if chosen(one.path, source.include, source.exclude)]
    if not taken:
        raise NoFilesError(name, source, len(inventory.files))
    return taken


def _compare(
    weight: Weight, sources: Sequence[LockedSource], known: LockedWeight | None
) -> tuple[Status, Iterator[str]]:
    if known is None:
        return "new", iter(())
    if configured := list(changes(weight, known)):
        return "config-changed", iter(configured)
    moved = [
        (number, was.fingerprint, now.fingerprint)
        for number, (was, now) in enumerate(zip(known.sources, sources, strict=True))
        if was.fingerprint != now.fingerprint
    ]
    of = "source[{}] " if len(sources) > 1 else ""
    told = (f"{of.format(number)}fingerprint: {was} → {now}" for number, was, now in moved)
    return ("upstream-changed" if moved else "unchanged"), told
