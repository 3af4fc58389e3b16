"""Start :mod:`seed_bytecode` as root of a file system that has the seed and nothing else, inside the sandbox.

Run by the machine's own Python: what keeps the seed's in (``confinement.py``) has to be there before it
starts. Argument: the minor version. Standard input is :mod:`seed_bytecode`'s.
"""

from __future__ import annotations

import sys
from pathlib import Path

_BUILD, _TREE = Path("/build"), Path("/tree")


def main() -> None:
    """Run it; end with its exit status."""
    builders = Path(__file__).parent
    sys.path.insert(0, str(builders))
    import namespace  # noqa: PLC0415 - found by the line above
    import python_tree  # noqa: PLC0415

    root, made = _BUILD / "root", _BUILD / "made"
    for folder in (made, *(root / name for name in ("dev", "proc", "tmp"))):
        folder.mkdir(parents=True)
    script = str(builders / "seed_bytecode.py")
    command = python_tree.command(_TREE, sys.argv[1], "-s", "-B", "-S", script, str(_TREE), str(made))
    binds = {str(path): path for path in (_TREE, builders, made)}
    sys.exit(namespace.run(root, command, python_tree.COMPILING, binds))


if __name__ == "__main__":
    main()
