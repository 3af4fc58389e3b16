"""Which files of a project become ``/src``: ``.dockerignore`` as Docker reads it, and a few names of our own.

The rules are BuildKit's, not git's: patterns are anchored at the project's root, the last match wins, ``!``
brings back what an earlier pattern dropped, even from below an ignored folder, and a folder's verdict carries
over to its contents (moby/patternmatcher ``MatchesUsingParentResults``, walked as tonistiigi/fsutil
``filterFS`` walks).

This module also runs inside a Nix build, so it needs nothing beyond the standard library.
"""

from __future__ import annotations

import os
import re
from itertools import groupby
from typing import TYPE_CHECKING

from cog_nix.errors import UnreadableFileError
from cog_nix.project import dockerignore
from cog_nix.system.regular import read_bytes
from cog_nix.system.status import kind_of
from cog_nix.system.values import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IGNORE_FILE = ".dockerignore"

OWN_FILES = frozenset({".cog", ".git", "cog-nix.lock", "cog-nix.nix", "cog-nix.toml"})
"""Names at the root that never reach ``/src``.

``.cog`` is upstream's rule. ``.git`` differs between clones of one commit, which images must not. The others
describe the build: were they part of the source layer, locking again would change it.
"""

UNFINISHED = ".cog-nix-"
"""What begins the names of files that are just being written (:mod:`cog_nix.system.scratch`)."""

IMAGE_PROGRAM = b"#!/bin/sh\n# Writes the image "
"""What a built image, which is a program, begins with (nix/builders/image.py)."""

_RESULT_LINK = re.compile(r"result(-.*)?")
_STORE_PATH = re.compile(r"/store/[0-9a-df-np-sv-z]{32}-")

_States = tuple[bool, ...]
"""For each run of patterns, whether it matched the path or a folder above it."""


@frozen
class _Run:
    """Neighbouring patterns of one polarity; their order does not matter, so one expression tests all."""

    exception: bool
    expression: re.Pattern[str]
    reach: tuple[dockerignore.Reach, ...]


class _Folder:
    """A folder that the walk is inside of."""

    def __init__(
        self, path: str, states: _States, entries: Iterator[os.DirEntry[str]], *, emitted: bool
    ) -> None:
        self.path, self.states, self.entries, self.emitted = path, states, entries, emitted


class Ignore:
    """The ignore rules of one project.

    Attributes:
        entered: what :meth:`walk` saw in each folder that it entered: names in order, each behind ``d``
            (folder), ``f`` (file or link) or ``-`` (anything else).
    """

    def __init__(self, root: Path, runs: tuple[_Run, ...]) -> None:
        self.root = root
        self._runs = runs
        self._folders: dict[str, _States] = {}
        """States of folders already judged, for :meth:`ignored`."""
        self.entered: dict[str, list[str]] = {}

    @classmethod
    def load(cls, root: Path) -> Ignore:
        """Read ``.dockerignore`` under ``root``; a missing file ignores nothing.

        Args:
            root: the project's folder.

        Raises:
            ConfigError: a pattern is malformed.
        """
        try:
            content = read_bytes(root / IGNORE_FILE)
        except OSError:  # BuildKit, too, reads an unreadable file as an empty one
            content = b""
        return cls(root, _runs(dockerignore.parse(content, IGNORE_FILE)))

    def ignored(self, relative: str, is_dir: bool) -> bool:  # noqa: FBT001 - a stat would be slow
        """Return whether a path stays out of ``/src``.

        A folder may be ignored and yet hold files that are not; :meth:`walk` finds them.

        Args:
            relative: path below the root, with ``/``, without a leading ``./``.
            is_dir: whether the path is a folder, and not a link to one.
        """
        if self._is_own(relative):
            return True
        verdict, states = self._judge(relative, self._states_of(relative.rpartition("/")[0]))
        if is_dir:
            self._folders[relative] = states
        return verdict

    def walk(self) -> Iterator[str]:
        """Yield every path that reaches ``/src``, folders before their contents, siblings by name.

        Folders, also empty ones, files and symbolic links; links are not followed. Sockets, pipes and devices
        are left out: nothing in an image could come of them.

        Raises:
            ConfigError: a folder that is not ignored cannot be read.
        """
        stack = [_Folder("", (False,) * len(self._runs), self._entries("", ignored=False), emitted=True)]
        while stack:
            folder = stack[-1]
            entry = next(folder.entries, None)
            if entry is None:
                stack.pop()
                continue
            path = f"{folder.path}/{entry.name}" if folder.path else entry.name
            if not folder.path and self._is_own(path):
                continue
            ignored, states = self._judge(path, folder.states)
            if not ignored:
                yield from _emit(stack)
                yield path
            if entry.is_dir(follow_symlinks=False) and not (ignored and self._closed(path)):
                stack.append(_Folder(path, states, self._entries(path, ignored=ignored), emitted=not ignored))

    def _is_own(self, relative: str) -> bool:
        """Return whether cog-nix itself keeps a path out, whatever the patterns say."""
        first = relative.partition("/")[0]
        if first in OWN_FILES or first.startswith(UNFINISHED):
            return True
        if first != relative or not _RESULT_LINK.fullmatch(first):
            return False
        try:
            return bool(_STORE_PATH.search(os.readlink(self.root / first)))  # noqa: PTH115 - text
        except OSError:
            return is_image_program(self.root / first)

    def _judge(self, path: str, above: _States) -> tuple[bool, _States]:
        """Return whether a path is ignored, and its states, from those of the folder above."""
        ignored = False
        states = []
        for run, inherited in zip(self._runs, above, strict=True):
            # A pattern that could not change the verdict is not tried; its state stays the folder's.
            matched = inherited or (run.exception == ignored and run.expression.match(path) is not None)
            states.append(matched)
            if matched:
                ignored = not run.exception
        return ignored, tuple(states)

    def _states_of(self, folder: str) -> _States:
        """Return the states of a folder, judged from the root downwards and remembered."""
        if not folder:
            return (False,) * len(self._runs)
        if folder not in self._folders:
            self._folders[folder] = self._judge(folder, self._states_of(folder.rpartition("/")[0]))[1]
        return self._folders[folder]

    def _closed(self, folder: str) -> bool:
        """Return whether no exception can bring back anything below an ignored folder."""
        return dockerignore.closed(folder, [reach for run in self._runs for reach in run.reach])

    def _entries(self, folder: str, *, ignored: bool) -> Iterator[os.DirEntry[str]]:
        """Return the entries of a folder that an image can hold, by name."""
        try:
            with os.scandir(self.root / folder) as scan:
                found = sorted(scan, key=lambda entry: entry.name)
            self.entered[folder] = sorted(f"{kind_of(entry)}{entry.name}" for entry in found)
        except PermissionError as error:
            self.entered[folder] = []
            if ignored:
                return iter(())
            hint = f"Give yourself access to it, or add it to {IGNORE_FILE}."
            raise UnreadableFileError(folder or self.root, error, hint=hint) from error
        return (entry for entry in found if kind_of(entry) != "-")


def is_image_program(path: Path) -> bool:
    """Return whether a file is a built image, or a copy of one, whatever its name."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(len(IMAGE_PROGRAM)) == IMAGE_PROGRAM
    except OSError:
        return False


def _runs(patterns: list[dockerignore.Pattern]) -> tuple[_Run, ...]:
    runs = []
    for exception, members in groupby(patterns, key=lambda pattern: pattern.exception):
        group = list(members)
        expression = re.compile("|".join(f"(?:{pattern.expression})" for pattern in group), re.ASCII)
        runs.append(_Run(exception, expression, tuple(p.reach for p in group) if exception else ()))
    return tuple(runs)


def _emit(stack: list[_Folder]) -> Iterator[str]:
    """Yield the ignored folders that a path which is not ignored lies in: they are needed after all."""
    if stack[-1].emitted:
        return
    for folder in stack:
        if not folder.emitted:
            folder.emitted = True
            yield folder.path
