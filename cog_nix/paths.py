"""Folders of this user (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return where downloads and indexes are kept: ``COG_NIX_CACHE_DIR`` or ``$XDG_CACHE_HOME/cog-nix``."""
    if named := os.environ.get("COG_NIX_CACHE_DIR"):
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "cog-nix"
