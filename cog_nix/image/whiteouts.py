"""Marks in a layer that take away what lower layers have (image-spec, layer.md, "Whiteouts")."""

from __future__ import annotations

WHITEOUT = ".wh."
"""What the name of a file begins with that hides another."""
OPAQUE = ".wh..wh..opq"
"""What hides all that was in its folder."""


def hidden_by(path: str) -> str | None:
    """Return the file or folder of lower layers that a mark takes away; None: the path is no mark."""
    folder, _, name = path.rpartition("/")
    if not name.startswith(WHITEOUT):
        return None
    return folder if name == OPAQUE else f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/")
