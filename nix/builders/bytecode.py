"""Compile Python files ahead of time, the same bits each time.

Run by the interpreter that will load the result; needs nothing but its standard library (3.10 and up)::

    python bytecode.py ROOT PREFIX < list-of-files

``.pyc`` files are of the unchecked hash kind (PEP 552): no clock in them, and never compared with the source
at import. Files are compiled in sorted order in a fresh process with a fixed hash seed, because ``marshal``
writes what it has seen before as references.
"""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path


def compile_file(root: str, prefix: str, relative: str) -> bool:
    """Compile one file; say whether it is valid source for this interpreter."""
    try:
        py_compile.compile(
            str(Path(root) / relative),
            dfile=str(Path(prefix) / relative),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except (py_compile.PyCompileError, ValueError, RecursionError):
        return False  # templates and files for other Python versions are shipped as data
    return True


def main() -> None:
    """Compile what stdin lists, one path a line, relative to ROOT."""
    root, prefix = sys.argv[1:]
    for line in sys.stdin.read().split("\n"):
        if line:
            compile_file(root, prefix, line)


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    main()
