"""What a whole project starts: its Python source in the image, and shell scripts that this starts."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from cog_nix.programs import python
from cog_nix.programs.shell import started_in, words_of
from cog_nix.programs.words import Script
from cog_nix.project.ignore import Ignore
from cog_nix.system.regular import read_bytes
from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

_LONGEST = 1_000_000
"""Bytes of a source that is read; longer ones are data."""
_BESIDE = re.compile(
    r"(?:^|/)(?:docs?|node_modules|site-packages|tests?)/|(?:^|/)(?:setup|conftest|test_[^/]*|[^/]*_test)\.py$"
)
"""Tests and the like: no prediction runs them."""
_PYTHON = re.compile(r"(?:python|pip)[\d.]*")
_VERSION = re.compile(r"[=<>~!\[;@].*", re.DOTALL)


@frozen
class Start:
    """A place that starts a program, the first one of the project."""

    program: str
    """Its name, as it is looked for in ``PATH``."""
    path: str
    """Of the source, below the project's folder."""
    line: int
    """From 1."""

    @property
    def place(self) -> str:
        """Path and line: ``predict.py:12``."""
        return f"{self.path}:{self.line}"


def started_by(
    root: Path,
    commands: Sequence[str] = (),
    paths: Iterable[str] | None = None,
    *,
    everywhere: AbstractSet[str],
) -> tuple[Start, ...]:
    """Return the programs that a project's source starts and neither it nor every image has, by name.

    Args:
        root: the project's folder.
        commands: of ``run:``, which install some.
        paths: what of the project reaches the image; None: that is looked for.
        everywhere: programs that every image has.

    Raises:
        ConfigError: ``.dockerignore`` is malformed, or a folder cannot be read.
    """
    paths = list(Ignore.load(root).walk() if paths is None else paths)
    there = {posixpath.basename(path) for path in paths}.union(installed_by(commands), everywhere)
    found: dict[str, Start] = {}
    for path in sorted((path for path in paths if is_source(path)), key=lambda path: (path.count("/"), path)):
        for start in starts_of(root, path):
            if start.program not in there:
                found.setdefault(start.program, start)
    return tuple(found[name] for name in sorted(found))


def started_in_changed(root: Path, changed: Iterable[str], paths: Iterable[str]) -> set[str]:
    """Return the names of programs that some files start, those that every image has among them.

    Args:
        root: the project's folder.
        changed: files below it.
        paths: all of the project that reaches the image.
    """
    found = {start.program for path in changed if is_source(path) for start in starts_of(root, path)}
    return found.difference(map(posixpath.basename, paths)) if found else found


def is_source(path: str) -> bool:
    """Tell whether a file of the project is looked into."""
    return path.endswith(".py") and not _BESIDE.search(path)


def starts_of(root: Path, path: str) -> Iterator[Start]:
    """Yield what a file of Python source starts; nothing where it cannot be read.

    Args:
        root: the project's folder.
        path: below it.
    """
    for line, one in python.read(_content(root, path)):
        if not isinstance(one, Script):
            yield from _wanted(one, path, line)
        elif script := _script(root, one.path):
            text = _content(root, script).decode(errors="replace")
            for inner, name in started_in(text):
                if isinstance(name, str):
                    yield from _wanted(name, script, inner)


def installed_by(commands: Iterable[str]) -> frozenset[str]:
    """Return what commands of ``run:`` may install: the words that follow a program's, as names."""
    found: set[str] = set()
    for command in commands:
        for word in words_of(command):
            if "://" not in word:
                found.add(_VERSION.sub("", word.rpartition("/")[2]))
    return frozenset(found)


def _wanted(name: str, path: str, line: int) -> Iterator[Start]:
    if not _PYTHON.fullmatch(name):
        yield Start(name, path, line)


def _script(root: Path, path: str) -> str:
    """Return where a shell script of the project is; "" for any other."""
    inside = posixpath.normpath(path.removeprefix("/src/"))
    return inside if not inside.startswith(("/", "..")) and (root / inside).is_file() else ""


def _content(root: Path, path: str) -> bytes:
    try:
        file = root / path
        return read_bytes(file) if file.stat().st_size <= _LONGEST else b""
    except OSError:
        return b""
