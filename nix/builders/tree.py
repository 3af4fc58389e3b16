"""Unpack an interpreter that runs inside builds, for compiling bytecode when the seed is another version.

Spec::

    {"debs": [store path, …]}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import inputs
import python_tree


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    python_tree.unpack([Path(path) for path in spec["debs"]], inputs.output())
