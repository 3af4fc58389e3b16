"""Imports weights: their files into the store, and what they are into ``weights.lock``.

:mod:`cog_nix.managed.publishing` brings their layers into the registry then.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.fetch.parallel import run_all
from cog_nix.system.digests import digest_of
from cog_nix.system.files import write_atomically
from cog_nix.weights import lock as weights_lock
from cog_nix.weights import manifest
from cog_nix.weights.blob import LayerBlob
from cog_nix.weights.model import TAR, File, LockedFile, LockedWeight, WeightsLock, set_digest
from cog_nix.weights.packing import ENVELOPE, PLAIN_ENVELOPE
from cog_nix.weights.packing import plan as plan_layers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Weight
    from cog_nix.managed.planning import Plan
    from cog_nix.managed.source import Source, Surroundings
    from cog_nix.weights.model import LockedLayer, LockedSource
    from cog_nix.weights.packing import PlannedLayer


def bring(plan: Plan, around: Surroundings) -> dict[File, LockedLayer]:
    """Put the files of a weight into the store.

    Returns:
        The layers that hold one file each, where they were measured on the way.

    Raises:
        CogNixError: a file cannot be had, or the store cannot be written to.
    """
    missing = {one.digest: one for one in plan.files if not around.store.held(one.digest, one.size)}
    by_source: dict[int, tuple[Source, list[File]]] = {}
    for file in missing.values():
        source = plan.owners[file.path]
        by_source.setdefault(id(source), (source, []))[1].append(file)
    if not missing:
        return {}
    found: dict[File, LockedLayer] = {}
    total = sum(file.size for file in missing.values())
    with around.reporter.bytes_bar(f"Importing {plan.weight.name}", total) as bar:
        for source, files in by_source.values():
            found |= source.bring(files, bar)
    return found


def record(
    plan: Plan, known: LockedWeight | None, measured: Mapping[File, LockedLayer], around: Surroundings
) -> LockedWeight:
    """Return what the lock says of a weight whose files are in the store.

    Layers that the lock has of the same files are kept as they are, whoever made them.
    """
    planned = plan_layers(plan.files)
    recorded = layers_of(known) if known else {}
    layers: dict[PlannedLayer, LockedLayer] = {}
    for layer in planned:
        if found := recorded.get(layer):
            layers[layer] = found
        elif layer.media_type == TAR and layer.files[0] in measured:
            layers[layer] = measured[layer.files[0]]
    layers |= measure([layer for layer in planned if layer not in layers], around)
    weight = locked(plan.weight.name, plan.weight.target, plan.sources, layers)
    same = known and replace(weight, imported=known.imported) == known
    return replace(weight, imported=known.imported if known and same else _now())


def layers_of(weight: LockedWeight) -> dict[PlannedLayer, LockedLayer]:
    """Return the layers of a weight that are packed as they would be here; others are of other rules."""
    by_digest = {layer.digest: layer for layer in weight.layers}
    home = {_plain(file): file.layer for file in weight.files}
    found = {}
    for planned in plan_layers(home):
        digests = {home[file] for file in planned.files}
        layer = by_digest.get(digests.pop()) if len(digests) == 1 else None
        whole = layer and len(weight.files_in(layer.digest)) == len(planned.files)
        if layer and whole and layer.media_type == planned.media_type:
            found[planned] = layer
    return found


def measure(layers: Sequence[PlannedLayer], around: Surroundings) -> dict[PlannedLayer, LockedLayer]:
    """Read layers from the store and find out what the registry will call them, on all processors."""
    if not layers:
        return {}
    with around.reporter.steps_bar("Packing", len(layers)) as bar:

        def one(layer: PlannedLayer) -> LockedLayer:
            found = LayerBlob(layer, around.store).measure()
            bar.advance(1)
            return found

        tasks = [partial(one, layer) for layer in layers]
        found = run_all(tasks, os.cpu_count() or 1, around.cancelled)
    return dict(zip(layers, found, strict=True))


def locked(
    name: str,
    target: str,
    sources: Sequence[LockedSource],
    layers: Mapping[PlannedLayer, LockedLayer],
    imported: str = "",
) -> LockedWeight:
    """Return a weight as the lock has it.

    Args:
        name: its own.
        target: its folder in containers.
        sources: with their fingerprints.
        layers: all of it.
        imported: when (RFC 3339).
    """
    files = [
        LockedFile(file.path, file.size, file.digest, layer.digest)
        for planned, layer in layers.items()
        for file in planned.files
    ]
    files.sort(key=lambda file: file.path.encode())
    by_digest = {layer.digest: layer for layer in layers.values()}
    weight = LockedWeight(
        name,
        target,
        set_digest(files),
        tuple(sources),
        size=sum(file.size for file in files),
        files=tuple(files),
        layers=tuple(by_digest[digest] for digest in sorted(by_digest)),
        imported=imported,
    )
    return replace(weight, digest=digest_of(manifest.manifest(weight)))


def write(
    root: Path, previous: WeightsLock, weights: Iterable[LockedWeight], configured: Sequence[Weight]
) -> WeightsLock:
    """Write ``weights.lock``, if it says something else then.

    Args:
        root: the project's folder.
        previous: what it says.
        weights: what was imported.
        configured: all of cog.yaml's; what it no longer has goes.

    Returns:
        What it says now.

    Raises:
        UnwritableError: it cannot be written, and is as it was.
    """
    entries = {one.name: one for one in previous.weights} | {one.name: one for one in weights}
    kept = tuple(entry for name, entry in entries.items() if name in {one.name for one in configured})
    lock = WeightsLock(kept, _envelope(previous, kept))
    if lock != previous:
        write_atomically(root / weights_lock.NAME, weights_lock.format_lock(lock))
    return lock


def _envelope(previous: WeightsLock, weights: Sequence[LockedWeight]) -> str:
    """Return the digest of the rules that all layers of a lock are packed by."""
    kept = {layer for one in previous.weights for layer in one.layers}
    compressed = {layer for one in weights for layer in one.layers if layer.media_type != TAR}
    if not compressed:
        return PLAIN_ENVELOPE
    return previous.envelope if compressed <= kept and previous.envelope else ENVELOPE


def _plain(file: LockedFile) -> File:
    return File(file.path, file.size, file.digest)


def _now() -> str:
    """Return the time as Go writes it (RFC 3339 with as many digits as it takes)."""
    text = dt.datetime.now(dt.UTC).isoformat().removesuffix("+00:00")
    return f"{text.rstrip('0') if '.' in text else text}Z"
