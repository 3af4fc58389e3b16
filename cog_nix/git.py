"""What Git or a CI system says about the project: the revision and version labels of the OCI annotations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cog_nix.processes import ProcessError, run

if TYPE_CHECKING:
    from pathlib import Path

_REVISION = "org.opencontainers.image.revision"
_VERSION = "org.opencontainers.image.version"


def labels(root: Path) -> dict[str, str]:
    """Return the labels for a project's folder; none outside a Git work tree.

    ``GITHUB_SHA`` and ``GITHUB_REF_NAME`` win, as upstream has it (pkg/image/build.go).
    """
    found = {
        _REVISION: os.environ.get("GITHUB_SHA") or _git(root, "rev-parse", "HEAD"),
        _VERSION: os.environ.get("GITHUB_REF_NAME") or _git(root, "describe", "--tags", "--dirty"),
    }
    return {name: value for name, value in found.items() if value}


def _git(root: Path, *arguments: str) -> str:
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return ""
    try:
        return run(["git", *arguments], cwd=root).stdout.strip()
    except ProcessError:
        return ""
