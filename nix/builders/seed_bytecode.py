"""Compile the seed's own modules with the seed's own Python, which nobody has tried yet: inside the sandbox.

Run as ``python -s -B -S seed_bytecode.py TREE [FOLDER]``. Standard input has a line ``ROOT<tab>NAME`` for a
module, which is ``TREE/ROOT/NAME``; an empty line ends a group. Bytecode goes below FOLDER, where
``sys.pycache_prefix`` has it, or else beside the modules.

Each group has a process of its own. There is no bytecode yet, so a Python that starts compiles whatever it
imports: one does, and forks for the groups. What they have in memory is what :mod:`bytecode` has as a
program, so they write the same bits.
"""

from __future__ import annotations

import os
import sys

import bytecode


def main() -> None:
    """Compile what is listed, as many groups at once as there are processors."""
    tree, sys.pycache_prefix = sys.argv[1], (sys.argv[2] if sys.argv[2:] else None)
    groups = [group.split("\n") for group in sys.stdin.read().split("\n\n") if group]
    running = failed = 0
    for group in groups:
        if running == (os.cpu_count() or 1):
            failed |= os.wait()[1]
            running -= 1
        if os.fork() == 0:
            _compile(tree, group)
        running += 1
    for _ in range(running):
        failed |= os.wait()[1]
    sys.exit(1 if failed else 0)


def _compile(tree: str, group: list[str]) -> None:
    """Compile a group and end."""
    status = 1
    try:
        for line in group:
            root, name = line.split("\t")
            bytecode.compile_file(f"{tree}/{root}", f"/seed/{root}", name)
        status = 0
    except BaseException:  # noqa: BLE001 - it ends here, whatever it is
        sys.excepthook(*sys.exc_info())
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    main()
