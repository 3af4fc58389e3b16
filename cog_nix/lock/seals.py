"""By what a lock was made, for a build to compare with: digests of what was read of files.

Those of wheels are of their facts (:meth:`cog_nix.elf.facts.Facts.seal`). Of a package only what stands in
front was read, so that is what its seal is of.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "deb:"
"""What an owner begins with that is no wheel."""
_FRONT = re.compile("front-([1-9][0-9]{0,8})-([0-9a-f]{32})")
_DIGEST = 32
"""Hexadecimal digits."""


def front(content: bytes) -> str:
    """Return the seal of a file by its first bytes."""
    return f"front-{len(content)}-{hashlib.sha256(content).hexdigest()[:_DIGEST]}"


def fits(path: Path, seal: str) -> bool:
    """Tell whether a file begins as a seal says.

    Args:
        path: the file.
        seal: of its front; another one fits nothing.
    """
    found = _FRONT.fullmatch(seal)
    if not found:
        return False
    with path.open("rb") as file:
        return front(file.read(int(found[1]))) == seal
