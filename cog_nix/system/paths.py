"""Folders of this user (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

from cog_nix.errors import CogNixError


def cache_dir() -> Path:
    """Return where downloads and indexes are kept: ``COG_NIX_CACHE_DIR`` or ``$XDG_CACHE_HOME/cog-nix``."""
    from pathlib import Path  # noqa: PLC0415 - who needs the text alone does without

    return Path(cache_path())


def cache_path() -> str:
    """Return :func:`cache_dir` as text.

    Raises:
        CogNixError: there is no home folder.
    """
    if named := os.environ.get("COG_NIX_CACHE_DIR"):
        return named if named.startswith("/") else f"{os.getcwd()}/{named}"  # noqa: PTH109 - text
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - text
    if base.startswith("~"):
        raise CogNixError(
            "This user has no home folder, in HOME or in /etc/passwd, for what is downloaded.",
            hint="Name a folder in COG_NIX_CACHE_DIR.",
        )
    return f"{base}/cog-nix"
