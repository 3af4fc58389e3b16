"""Compile Python's standard library beside dpkg, on the other cores, rather than while dpkg waits.

The maintainer scripts of Debian's interpreters run ``python3.13 -E -S …/py_compile.py FILE…``. While packages
are configured, another file is shown in place of that program: it hands the names on and ends. What reads
them (:class:`Compiler`) calls the real program in a namespace of its own, one process for each list, because
the order in which a process compiles files may show in what it writes. Nothing that is configured needs the
bytecode, which only saves time; what would be removed again is not made (``deb.PRUNED``).
"""

from __future__ import annotations

import glob
import os
import sys
from typing import TYPE_CHECKING, Self

import deb
import forks
import namespace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PIPE = "compile"
_SCRIPT = "usr/lib/python3.*/py_compile.py"
_STUB = """\
if __name__ == "__main__":
    import sys
    if all(name.startswith("/") for name in sys.argv[1:]) and not sys.flags.optimize:
        with open({pipe!r}, "w") as stream:
            stream.write("\\0".join([sys.executable, __file__, *sys.argv[1:]]) + "\\n")
        raise SystemExit(0)
"""


class Compiler:
    """Compiles what scripts hand on while this context lasts, and to the end of what was begun.

    Args:
        root: the system's folder.
        shown: a folder that :attr:`binds` shows inside.
        inside: where it shows it.
        environment: of the interpreter.
    """

    def __init__(self, root: Path, shown: Path, inside: str, environment: Mapping[str, str]) -> None:
        self._root = root
        self._environment = dict(environment)
        self._pipe = shown / _PIPE
        self.binds = {inside: shown}
        """What to show inside while packages are configured."""
        self._told = f"{inside}/{_PIPE}".encode()
        text = _STUB.format(pipe=f"{inside}/{_PIPE}")
        for script in root.glob(_SCRIPT):
            stub = shown / f"{script.parent.name}.py"
            stub.write_text(text + script.read_text())  # those that import it find all that it has
            self.binds[f"/{script.relative_to(root)}"] = stub

    def __enter__(self) -> Self:
        """Start to listen."""
        os.mkfifo(self._pipe)
        self._open = os.open(self._pipe, os.O_RDWR)
        self._reader = forks.start(self._compile_all)
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what was begun; a file that does not compile ends the build, as dpkg would have ended."""
        os.close(self._open)
        done = forks.all_done([self._reader])
        self._pipe.unlink()
        if not done and sys.exception() is None:
            sys.exit("cog-nix: Python's standard library does not compile")

    def _compile_all(self) -> int:
        os.close(self._open)
        asked: list[tuple[list[str], list[str]]] = []
        running: list[int] = []
        with self._pipe.open(encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                program, script, *names = line.rstrip("\n").split("\0")
                command = [program, "-B", "-E", "-S", script]
                files = [name for name in names if not self._is_pruned(name)]
                asked.append((command, files))
                if files:
                    running.append(self._start([*command, *files]))
        done = forks.all_done(running)
        # A Python that ran meanwhile, and found no bytecode or that of another text, may have written some.
        again = [(command, [name for name in files if self._is_wrong(name)]) for command, files in asked]
        done &= forks.all_done([self._start([*command, *files]) for command, files in again if files])
        return int(not done)

    def _is_pruned(self, source: str) -> bool:
        """Say whether a file's bytecode is removed later on; its folder is not, so it is made."""
        folder, _, name = source.lstrip("/").rpartition("/")
        cache = f"{folder}/__pycache__"
        (self._root / cache).mkdir(exist_ok=True)
        return deb.pruned(f"{folder}/{name}") or deb.pruned(f"{cache}/{name.removesuffix('py')}pyc")

    def _is_wrong(self, source: str) -> bool:
        """Say whether a file's bytecode goes by the time (PEP 552), or is of what was shown in its place."""
        path = self._root / source.lstrip("/")
        for cache in (path.parent / "__pycache__").glob(f"{glob.escape(path.stem)}.*.pyc"):
            data = cache.read_bytes()
            if data[4:8] == bytes(4) or self._told in data:
                return True
        return False

    def _start(self, command: list[str]) -> int:
        return forks.start(lambda: namespace.run(self._root, command, self._environment, {}))
