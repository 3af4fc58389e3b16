"""What a verification found, as an in-toto Statement (in-toto attestation framework, version 1).

The predicate is "Test Result" 0.1: each part of each build is a test. SLSA's verification summary was looked
at: it says that a policy was applied to an image's provenance, which a rebuild does not look at. No clock and
no name of a machine is in it, so that who verifies the same gets the same bytes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cog_nix.fetch.git import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.compare.source import Source
    from cog_nix.compare.verification import Verification
    from cog_nix.config.model import Project

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
_SHA256 = "sha256:"


def statement(found: Verification, project: Project, source: Source | None) -> dict[str, Any]:
    """Return a statement.

    Args:
        found: what it is about.
        project: whose lock was built from.
        source: its commit; None: none is known, or the project has changes.
    """
    outcomes = list(_outcomes(found))
    return {
        "_type": STATEMENT,
        "subject": [{"name": found.image.title, "digest": {"sha256": _digest(found)}}],
        "predicateType": PREDICATE,
        "predicate": {
            "result": "PASSED" if found.same else "FAILED",
            "configuration": list(_configuration(project, source)),
            "passedTests": [name for name, passed in outcomes if passed],
            "failedTests": [name for name, passed in outcomes if not passed],
        },
    }


def _digest(found: Verification) -> str:
    """Return what names the image: its manifest in a registry, its configuration elsewhere."""
    return next(iter(found.image.manifests), found.image.id).removeprefix(_SHA256)


def _configuration(project: Project, source: Source | None) -> Iterator[dict[str, Any]]:
    """Yield what was built from (in-toto, "ResourceDescriptor")."""
    for path in (project.lock_path, project.config_path, project.settings_path):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            yield {"name": path.relative_to(project.root).as_posix(), "digest": {"sha256": digest}}
    if source:
        place = {"uri": f"{PREFIX}{source.shown}"} if source.repository else {}
        yield {"name": source.folder or "source", **place, "digest": {"gitCommit": source.commit}}


def _outcomes(found: Verification) -> Iterator[tuple[str, bool]]:
    for attempt in found.attempts:
        one = attempt.comparison
        yield f"{attempt.title}: configuration", not one.settings
        for pair in one.layers:
            yield f"{attempt.title}: layer {pair.name}", pair.same
