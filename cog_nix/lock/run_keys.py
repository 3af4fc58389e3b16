"""What the result of a command depends on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from cog_nix.config import commands

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.config.model import Config
    from cog_nix.lock.model import Lock, Run, Toolkit

_FORMAT = 1
"""Goes up when the same command on the same files gives another result by design."""


def keys(lock: Lock, config: Config, results: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each command and its key, as far as the results that it runs on are known.

    Args:
        lock: what commands run on.
        config: names them; its variables are in their environment.
        results: SRI hashes of what the commands left behind, in order; may grow while this is iterated.

    Yields:
        ``(text, "sha256:…")``. Secrets' values are in no key.
    """
    below = {
        "format": _FORMAT,
        "interpreter": lock.interpreter.version,
        # Libraries that something links to follow from the rest, and may follow from results.
        "debs": sorted(
            deb.artifact.sha256
            for deb in (*lock.base, *lock.essential, *lock.python, *lock.system, *lock.build)
        ),
        "wheels": [(wheel.name, wheel.artifact.sha256) for wheel in lock.wheels],
        "environment": [*lock.environment, *config.environment],
        **_toolkit(lock.toolkit),
    }
    for number, text in enumerate(commands.texts(config.build)):
        if number > len(results):
            return
        question = {**below, "command": text, "results": list(results[:number])}
        digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        yield text, f"sha256:{digest}"


def _toolkit(toolkit: Toolkit | None) -> dict[str, object]:
    if toolkit is None or not toolkit.commands:
        return {}
    artifacts = [*(deb.artifact for deb in toolkit.debs), *(wheel.artifact for wheel in toolkit.wheels)]
    files = sorted(artifact.sha256 for artifact in artifacts)
    return {"toolkit": [files, toolkit.host_compiler, toolkit.environment]}


def fitting(lock: Lock, config: Config, runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return those of the recorded results, from the first on, that are still what the commands give."""
    kept: list[Run] = []
    results = [run.nar_sha256 for run in runs]
    for (_, key), run in zip(keys(lock, config, results), runs, strict=False):
        if run.key != key:
            break
        kept.append(run)
    return tuple(kept)
