"""Start :mod:`seed_bytecode` as root of a file system that has the seed and nothing else, inside the sandbox.

Run by the machine's own Python: what keeps the seed's in (``confinement.py``) has to be there before it
starts. Arguments: those of :mod:`seed_bytecode`.
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

    root = _BUILD / "root"
    for name in ("dev", "proc", "tmp"):
        (root / name).mkdir(parents=True)
    minor = sys.argv[1]
    script = str(builders / "seed_bytecode.py")
    command = python_tree.command(_TREE, minor, "-s", "-B", script, *sys.argv[1:])
    environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    binds = {str(path): path for path in (_TREE, builders, _BUILD / "tree")}
    sys.exit(namespace.run(root, command, environment, binds))


if __name__ == "__main__":
    main()
