"""Compile the seed's own modules with the seed's own Python, which nobody has tried yet: inside the sandbox.

Arguments: the minor version, and the folders of modules. ``/tree`` is the seed; its modules lie once more in
``/build/tree``, where the bytecode goes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import python_tree


def main() -> None:
    """Compile them."""
    minor, *roots = sys.argv[1:]
    for root in roots:
        folder = Path("/build/tree", root)
        files = [str(path.relative_to(folder)) for path in folder.rglob("*.py")]
        python_tree.compile_all(Path("/tree"), minor, folder, f"/seed/{root}", files)


if __name__ == "__main__":
    main()
