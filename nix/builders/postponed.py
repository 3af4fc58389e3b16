"""Do beside dpkg, on the other cores, what its scripts would wait for and nothing that is configured needs.

While packages are configured, another file is shown in place of a program: it hands on what it was asked for,
and ends. What reads that (:class:`Postponed`) calls the real program in a namespace of its own, and what it
says counts as if dpkg had waited for it.

- The maintainer scripts of Debian's interpreters compile the standard library with ``python3.13 -E -S
  …/py_compile.py FILE…`` (:class:`Compiler`). It is one process for each list, because the order in which a
  process compiles files may show in what it writes. What would be removed again is not made (``deb.PRUNED``).
  They ask for the modules of one package, in its order (``dpkg -L``), so that is begun as soon as the files
  are there, and counts where it is what they ask for in the end.
- ``ca-certificates`` runs ``update-ca-certificates`` when it is configured, and once more by its trigger, 850
  processes each time (:class:`Certificates`).
"""

from __future__ import annotations

import glob
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import deb
import forks
import namespace
import python_tree
import snapshot
from failure import BuildError
from target import IS_FOREIGN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SCRIPT = "usr/lib/python3.*/py_compile.py"
_MODULE = re.compile(r"usr/lib/(python3\.\d+)/.*\.py")
_STUB = """\
if __name__ == "__main__":
    import sys
    if all(name.startswith("/") for name in sys.argv[1:]) and not sys.flags.optimize:
        with open({pipe!r}, "w") as stream:
            stream.write("\\0".join([sys.executable, __file__, *sys.argv[1:]]) + "\\n")
        raise SystemExit(0)
"""
_MINOR = "{}.{}".format(*sys.version_info)
"""Of the Python that runs builders."""
_UPDATE = "usr/sbin/update-ca-certificates"
_UPDATE_STUB = """\
#!/bin/sh
{{ for each; do printf '%s\\t' "$each"; done; echo; }} > {pipe}
"""
_HOOKS = "etc/ca-certificates/update.d"
_CERTIFICATES = ("etc/ca-certificates", "usr/share/ca-certificates", "usr/local/share/ca-certificates")
"""What update-ca-certificates(8) reads, beside its configuration file."""


class Postponed:
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
        self._inside = inside
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

    def _start(self, command: list[str], binds: dict[str, Path] | None = None) -> int:
        return forks.start(lambda: namespace.run(self._root, command, self._environment, binds or {}))

    def _stubs(self, shown: Path) -> dict[str, Path]:
        """Write what is shown in place of programs to ``shown``; return it by their paths inside."""
        raise NotImplementedError

    def _serve(self, lines: Iterator[str]) -> bool:
        """Do what lines ask for; say whether it worked."""
        raise NotImplementedError


Call = tuple[str, ...]
"""A program and its arguments."""


def library_calls(packages: Iterable[Iterable[str]]) -> list[Call]:
    """Return how maintainer scripts should ask for the modules of Debian's interpreters.

    Args:
        packages: the paths of each package in its order, merged, no leading slash.
    """
    found: dict[tuple[str, int], list[str]] = {}
    for number, paths in enumerate(packages):
        for path in paths:
            if module := _MODULE.fullmatch(path):
                found.setdefault((module[1], number), []).append(f"/{path}")
    return [
        (f"/usr/bin/{python}", f"/usr/lib/{python}/py_compile.py", *names)
        for (python, _), names in found.items()
    ]


class Compiler(Postponed):
    """Compiles Python's standard library.

    Args:
        root: the system's folder.
        shown: a folder that :attr:`binds` shows inside.
        inside: where it shows it.
        environment: of what is run.
        expected: what is begun before it is asked for; nothing of it stays where that does not come.
    """

    name = "compile"
    failure = "Python's standard library does not compile"

    def __init__(
        self,
        root: Path,
        shown: Path,
        inside: str,
        environment: Mapping[str, str],
        expected: Sequence[Call] = (),
    ) -> None:
        super().__init__(root, shown, inside, environment)
        self._expected = expected

    def _stubs(self, shown: Path) -> dict[str, Path]:
        found = {}
        text = _STUB.format(pipe=self._told)
        for script in self._root.glob(_SCRIPT):
            stub = shown / f"{script.parent.name}.py"
            stub.write_text(text + script.read_text())  # those that import it find all that it has
            found[f"/{script.relative_to(self._root)}"] = stub
        return found

    def _serve(self, lines: Iterator[str]) -> bool:
        begun = {call: self._start_compiling(call) for call in self._expected}
        asked: list[Call] = []
        for line in lines:
            call = tuple(line.split("\0"))
            asked.append(call)
            if call not in begun:
                begun[call] = self._start_compiling(call)
        done = forks.all_done(pid for pids in begun.values() for pid in pids)
        if begun.keys() - asked:
            self._remove(name for call in begun for name in call[2:])
            return self._compile(asked)
        # A Python beside this one that found no bytecode or that of another text may have written some.
        again = [(*call[:2], *filter(self._is_wrong, self._wanted(call))) for call in asked]
        return self._compile(again) and done

    def _compile(self, calls: Iterable[Call]) -> bool:
        return forks.all_done([pid for call in calls for pid in self._start_compiling(call)])

    def _start_compiling(self, call: Call) -> list[int]:
        """Start to compile those of a call's files that stay; return the processes to wait for."""
        program, script, *_ = call
        files = self._wanted(call)
        if not files:
            return []
        options = ["-B", "-E", "-S", script, *files]
        if IS_FOREIGN and program.endswith(f"/python{_MINOR}"):
            # Bytecode is the same for every processor, and the builders' own Python needs no emulator.
            seed = Path(sys.prefix).parent
            own = python_tree.command(Path(self._inside), _MINOR, *options)
            return [self._start(own, {self._inside: seed})]
        return [self._start([program, *options])]

    def _wanted(self, call: Call) -> list[str]:
        """Return those of a call's files whose bytecode stays."""
        return [name for name in call[2:] if not self._is_pruned(name)]

    def _is_pruned(self, source: str) -> bool:
        """Say whether a file's bytecode is removed later on; its folder is not, so it is made."""
        folder, _, name = source.lstrip("/").rpartition("/")
        cache = f"{folder}/__pycache__"
        (self._root / cache).mkdir(exist_ok=True)
        return deb.pruned(f"{folder}/{name}") or deb.pruned(f"{cache}/{name.removesuffix('py')}pyc")

    def _is_wrong(self, source: str) -> bool:
        """Say whether a file's bytecode goes by the time (PEP 552), or is of what was shown in its place."""
        for cache in self._bytecode(source):
            data = cache.read_bytes()
            if data[4:8] == bytes(4) or self._told.encode() in data:
                return True
        return False

    def _bytecode(self, source: str) -> Iterator[Path]:
        path = self._root / source.lstrip("/")
        return (path.parent / "__pycache__").glob(f"{glob.escape(path.stem)}.*.pyc")

    def _remove(self, sources: Iterable[str]) -> None:
        """Remove bytecode, and folders that had nothing else."""
        for source in sources:
            for cache in self._bytecode(source):
                cache.unlink()
            with suppress(OSError):  # there is more, or no such folder
                (self._root / source.lstrip("/")).with_name("__pycache__").rmdir()


class Certificates(Postponed):
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
