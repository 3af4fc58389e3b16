"""What ``cog-nix doctor`` finds out about the Debian archive: does a mirror answer, and is it signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.errors import CogNixError
from cog_nix.spec import Finding

from .archive import check_mirror

if TYPE_CHECKING:
    from cog_nix.spec import Context

_SUITE = "trixie"
"""The suite that most images are made of."""


def diagnose(context: Context) -> Finding:
    """Fetch the suite's signed index of indexes, which is small."""
    try:
        where = check_mirror(_SUITE, context)
    except CogNixError as error:
        remedy = error.hint or "Name another mirror in COG_NIX_DEBIAN_MIRROR or cog-nix.toml."
        return Finding("mirrors", "error", error.message, remedy)
    return Finding("mirrors", "ok", f"the Debian archive answers ({where})")
