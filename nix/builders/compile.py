"""Copy builders and parts of the package into one folder and compile them: they start more quickly so.

Run as a script by the seed; arguments: the folder of the builders, and that of the package.
"""

from __future__ import annotations

import os
import py_compile
import shutil
import sys
from pathlib import Path


def main() -> None:
    """Build the output."""
    out = Path(os.environ["out"])  # noqa: SIM112 - Nix's spelling
    for folder, target in zip(sys.argv[1:], (out, out / "cog_nix"), strict=True):
        shutil.copytree(folder, target, copy_function=shutil.copyfile)
        out.chmod(0o755)
    for path in sorted(out.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in sorted(out.rglob("*.py")):
        py_compile.compile(
            str(path), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )


if __name__ == "__main__":
    main()
