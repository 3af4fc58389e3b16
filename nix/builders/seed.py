"""Make the seed: the Python tree that runs every other builder.

Runs outside Nix, under any Python from 3.11 on::

    python seed.py SPEC OUT

SPEC is a JSON file: ``{"python": "3.13", "debs": [path, …], "wheels": [path, …]}``. The wheels' packages go
to ``OUT/site``. The result depends on nothing but those files.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import foreign
import python_tree


def make(python: str, debs: list[Path], wheels: list[Path], out: Path) -> None:
    """Write the seed's tree to ``out``, which must not exist."""
    python_tree.unpack(debs, out)
    for wheel in wheels:
        with foreign.reading(wheel.name, "wheel"), zipfile.ZipFile(wheel) as archive:
            archive.extractall(out / "site")
    for path in out.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    for root in (f"usr/lib/python{python}", "site"):
        files = [str(path.relative_to(out / root)) for path in (out / root).rglob("*.py")]
        python_tree.compile_all(out, python, out / root, f"/seed/{root}", files)


def main() -> None:
    """Read the command line."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    make(
        spec["python"], [Path(p) for p in spec["debs"]], [Path(p) for p in spec["wheels"]], Path(sys.argv[2])
    )


if __name__ == "__main__":
    foreign.run(main)
