"""How an image was built, as SLSA provenance (version 1) in an in-toto Statement (version 1).

Nothing in it differs between two builds of the same: no clock, no name of a machine or of a builder. What was
built with stands in full: each file that the lock names, by its hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cog_nix import __version__
from cog_nix.lock.format import artifacts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Artifact, Lock

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
MEDIA_TYPE = "application/vnd.in-toto+json"
BUILDER = "pkg:pypi/cog-nix"
"""Whoever runs it: cog-nix has no service that builds for others and vouches for it."""
BUILD_TYPE = f"{BUILDER}#build/v1"
"""What the parameters mean; docs/how-to/supply-chain.md says it."""


@dataclass(frozen=True)
class Origin:
    """What an image was built from."""

    files: Mapping[str, Path]
    """The lock and the configuration, by their paths in the project."""
    lock: Lock
    repository: str = ""
    """Of the source, where Git knows one."""
    revision: str = ""
    """Git's commit of it."""
    dirty: bool = False
    """Whether the source differs from that."""


def provenance(name: str, digest: str, origin: Origin) -> dict[str, Any]:
    """Return the statement.

    Args:
        name: of the image, as it is referred to.
        digest: ``sha256:…`` of its manifest, or of its configuration where it has none.
        origin: what it was built from.
    """
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "configuration": next(
                        (path for path in origin.files if path.endswith(".yaml")), "cog.yaml"
                    ),
                    **({"source": _source(origin)} if origin.repository else {}),
                },
                "internalParameters": {"suite": origin.lock.suite, "lock": origin.lock.inputs},
                "resolvedDependencies": list(_dependencies(origin)),
            },
            "runDetails": {"builder": {"id": BUILDER, "version": {"cog-nix": __version__}}},
        },
    }


def _source(origin: Origin) -> str:
    return f"git+{origin.repository}" + (f"@{origin.revision}" if origin.revision else "")


def _dependencies(origin: Origin) -> Iterator[dict[str, Any]]:
    """Yield what was built from (in-toto, "ResourceDescriptor"): source, lock, and every file it names."""
    if origin.revision:
        source: dict[str, Any] = {"name": "source", "digest": {"gitCommit": origin.revision}}
        if origin.repository:
            source["uri"] = _source(origin)
        if origin.dirty:
            source["annotations"] = {"changed": True}
        yield source
    for name, path in sorted(origin.files.items()):
        yield {"name": name, "digest": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
    seen = set()
    for artifact in _artifacts(origin.lock):
        if artifact.sha256 not in seen:
            seen.add(artifact.sha256)
            yield {"name": artifact.filename, "uri": artifact.url, "digest": {"sha256": artifact.sha256}}
    for number, run in enumerate(origin.lock.runs):
        yield {"name": f"command {number + 1}", "digest": {"nixNarHash": run.nar_sha256}}


def _artifacts(lock: Lock) -> Sequence[Artifact]:
    wheels, debs = [*lock.wheels, *lock.seed.wheels], [*lock.debs, *lock.seed.debs]
    if lock.toolkit:
        debs += lock.toolkit.debs
        wheels += lock.toolkit.wheels
    found = artifacts_of(debs, wheels)
    return [*([lock.interpreter.artifact] if lock.interpreter.artifact else []), *found]
