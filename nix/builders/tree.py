"""Unpack an interpreter that runs inside builds, for compiling bytecode when the seed is another version.

Spec::

    {"debs": [store path, …]}
"""

from __future__ import annotations

from pathlib import Path

import foreign
import inputs
import python_tree


def main() -> None:
    """Build the output."""
    python_tree.unpack([Path(path) for path in inputs.read()["debs"]], inputs.output())


if __name__ == "__main__":
    foreign.run(main)
