"""Folders of this user (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from pathlib import Path

from cog_nix.errors import CogNixError


def cache_dir() -> Path:
    """Return where downloads and indexes are kept: ``COG_NIX_CACHE_DIR`` or ``$XDG_CACHE_HOME/cog-nix``."""
    if named := os.environ.get("COG_NIX_CACHE_DIR"):
        return Path(named).absolute()
    try:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    except RuntimeError as error:
        raise CogNixError(
            "This user has no home folder, in HOME or in /etc/passwd, for what is downloaded.",
            hint="Name a folder in COG_NIX_CACHE_DIR.",
        ) from error
    return Path(base) / "cog-nix"
