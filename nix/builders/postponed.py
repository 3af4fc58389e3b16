"""Do beside dpkg, on the other cores, what its scripts would wait for and nothing that is configured needs.

While packages are configured, another file is shown in place of a program: it hands on what it was asked for,
and ends. What reads that (:class:`_Postponed`) calls the real program in a namespace of its own, and what it
says counts as if dpkg had waited for it.

- The maintainer scripts of Debian's interpreters compile the standard library with ``python3.13 -E -S
  …/py_compile.py FILE…`` (:class:`Compiler`). It is one process for each list, because the order in which a
  process compiles files may show in what it writes. What would be removed again is not made (``deb.PRUNED``).
- ``ca-certificates`` runs ``update-ca-certificates`` when it is configured, and once more by its trigger, 850
  processes each time (:class:`Certificates`).
"""

from __future__ import annotations

import glob
import os
import sys
from typing import TYPE_CHECKING, Self

import deb
import forks
import namespace
import snapshot
from failure import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SCRIPT = "usr/lib/python3.*/py_compile.py"
_STUB = """\
if __name__ == "__main__":
    import sys
    if all(name.startswith("/") for name in sys.argv[1:]) and not sys.flags.optimize:
        with open({pipe!r}, "w") as stream:
            stream.write("\\0".join([sys.executable, __file__, *sys.argv[1:]]) + "\\n")
        raise SystemExit(0)
"""
_UPDATE = "usr/sbin/update-ca-certificates"
_UPDATE_STUB = """\
#!/bin/sh
{{ for each; do printf '%s\\t' "$each"; done; echo; }} > {pipe}
"""
_HOOKS = "etc/ca-certificates/update.d"
_CERTIFICATES = ("etc/ca-certificates", "usr/share/ca-certificates", "usr/local/share/ca-certificates")
"""What update-ca-certificates(8) reads, beside its configuration file."""


class _Postponed:
    """Does what scripts hand on while this context lasts, and to the end of what was begun.

    Args:
        root: the system's folder.
        shown: a folder that :attr:`binds` shows inside.
        inside: where it shows it.
        environment: of what is run.
    """

    name: str
    """Of the pipe."""
    failure: str
    """What to say when it fails."""

    def __init__(self, root: Path, shown: Path, inside: str, environment: Mapping[str, str]) -> None:
        self._root = root
        self._environment = dict(environment)
        self._pipe = shown / self.name
        self._told = f"{inside}/{self.name}"
        self.binds = {inside: shown, **self._stubs(shown)}
        """What to show inside while packages are configured."""

    def __enter__(self) -> Self:
        """Start to listen."""
        os.mkfifo(self._pipe)
        self._open = os.open(self._pipe, os.O_RDWR)
        self._reader = forks.start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what was begun; what fails ends the build, as dpkg would have ended."""
        os.close(self._open)
        done = forks.all_done([self._reader])
        self._pipe.unlink()
        if not done and sys.exception() is None:
            raise BuildError(self.failure)

    def _listen(self) -> int:
        with self._pipe.open(encoding="utf-8", errors="surrogateescape") as lines:
            os.close(self._open)  # not before: opening waits for a writer, who may be gone by then
            return int(not self._serve(line.rstrip("\n") for line in lines))

    def _start(self, command: list[str]) -> int:
        return forks.start(lambda: namespace.run(self._root, command, self._environment, {}))

    def _stubs(self, shown: Path) -> dict[str, Path]:
        """Write what is shown in place of programs to ``shown``; return it by their paths inside."""
        raise NotImplementedError

    def _serve(self, lines: Iterator[str]) -> bool:
        """Do what lines ask for; say whether it worked."""
        raise NotImplementedError


class Compiler(_Postponed):
    """Compiles Python's standard library."""

    name = "compile"
    failure = "Python's standard library does not compile"

    def _stubs(self, shown: Path) -> dict[str, Path]:
        found = {}
        text = _STUB.format(pipe=self._told)
        for script in self._root.glob(_SCRIPT):
            stub = shown / f"{script.parent.name}.py"
            stub.write_text(text + script.read_text())  # those that import it find all that it has
            found[f"/{script.relative_to(self._root)}"] = stub
        return found

    def _serve(self, lines: Iterator[str]) -> bool:
        asked: list[tuple[list[str], list[str]]] = []
        running: list[int] = []
        for line in lines:
            program, script, *names = line.split("\0")
            command = [program, "-B", "-E", "-S", script]
            files = [name for name in names if not self._is_pruned(name)]
            asked.append((command, files))
            if files:
                running.append(self._start([*command, *files]))
        done = forks.all_done(running)
        # A Python beside this one that found no bytecode or that of another text may have written some.
        again = [(command, [name for name in files if self._is_wrong(name)]) for command, files in asked]
        return forks.all_done([self._start([*command, *files]) for command, files in again if files]) and done

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
            if data[4:8] == bytes(4) or self._told.encode() in data:
                return True
        return False


class Certificates(_Postponed):
    """Updates the bundle of certificates once, when that is first asked for.

    Asking again changes nothing as long as what it goes by is the same, but that hooks are run; where it is
    not the same, or there are hooks, it is done again.
    """

    name = "certificates"
    failure = "the bundle of certificates cannot be made"

    def _stubs(self, shown: Path) -> dict[str, Path]:
        if not (self._root / _UPDATE).is_file():
            return {}
        stub = shown / "update-ca-certificates"
        stub.write_text(_UPDATE_STUB.format(pipe=self._told))
        stub.chmod(0o755)
        return {f"/{_UPDATE}": stub}

    def _serve(self, lines: Iterator[str]) -> bool:
        asked: list[list[str]] = []
        running: list[int] = []
        before: set[tuple[str, int]] = set()
        for line in lines:
            asked.append([f"/{_UPDATE}", *line.split("\t")[:-1]])
            if not running:
                before = self._read()
                running.append(self._start(asked[0]))
        done = forks.all_done(running)
        if asked[1:] and (before != self._read() or any(snapshot.walk(self._root, _HOOKS))):
            done &= forks.all_done([self._start(asked[-1])])
        return done

    def _read(self) -> set[tuple[str, int]]:
        """Return what the program goes by, and since when each file is what it is."""
        found = {
            (path, info.st_ctime_ns) for top in _CERTIFICATES for path, info in snapshot.walk(self._root, top)
        }
        settings = self._root / "etc/ca-certificates.conf"
        return found | ({("", settings.stat().st_ctime_ns)} if settings.exists() else set())
