"""Unpack fragments into one folder: a file system that many builds share and none of them changes.

Spec::

    {"lower": [store path of a fragment, …]}

Builds lay a folder of their own over it (``namespace.run``). Nix keeps neither owners nor setuid bits, and
gives everything the same time; nothing that runs in a build depends on those.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import inputs
import unpack


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    root = inputs.output()
    root.mkdir()
    unpack.unpack([Path(path) for path in spec["lower"]], root)
    for folder in ("dev", "proc", "run", "sys", "tmp"):
        (root / folder).mkdir(exist_ok=True)
