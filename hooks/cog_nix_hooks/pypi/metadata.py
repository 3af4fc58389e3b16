"""What packages require where nobody can ask them: read from their source instead of running it.

uv runs the build backend of a source whose metadata are not written down, on this machine. That fails where
the build needs what this machine lacks: another Python, a compiler, or packages of the project that it did
not ask for (flash-attn imports torch). Then what the source says is taken as true, as far as it can be read;
the build compares later (``nix/builders/sdist.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from cog_nix.fetch import urls
from cog_nix_hooks.pypi import names
from cog_nix_hooks.pypi.lines import requirement_name, url_of
from cog_nix_hooks.pypi.uv import Stated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cog_nix.report import Reporter
    from cog_nix_hooks.pypi.pylock import Package
    from cog_nix_hooks.pypi.tree import Tree
    from cog_nix_hooks.pypi.uv import Question, UvError

_UNKNOWN = "0"
_MOST = 30
"""Packages of one project that may fail like this; a bound to the trying."""


@dataclass
class Metadata:
    """Answers for packages whose metadata cannot be built here.

    Args:
        tree_of: reads a package's source.
        reporter: is told of each.
    """

    tree_of: Callable[[Package], Tree]
    reporter: Reporter
    _failures: dict[str, UvError] = field(default_factory=dict)
    _guessed: dict[str, str] = field(default_factory=dict)
    """References that had no name, by the name that they were given."""

    def after_failure(self, question: Question, error: UvError) -> Question:
        """Return the question to ask next: the failing package's source has to be found before it is read.

        Raises:
            UvError: there is nothing else to try.
        """
        if not question.builds:
            return replace(question, builds=True)
        found = error.output
        if found.repository_failed:
            raise error
        real, given = found.other_name or ("", "")
        if given in self._guessed:
            return self._renamed(question, given, canonicalize_name(real))
        if found.unbuilt_package:
            name, version = found.unbuilt_package
            return self._provisional(
                question, Stated(canonicalize_name(name), version or _UNKNOWN, ()), error
            )
        named = self._named(question)
        if named is question or not (found.backend_failed or "resolve" in found.environment_failed):
            raise error
        return named  # to learn which one fails

    def _named(self, question: Question) -> Question:
        """Give each line without a name one that is guessed."""
        lines = []
        for line in question.lines.requirements:
            reference = _reference(line, question.project_root)
            name = _guess(reference) if reference else ""
            if name:
                self._guessed[name] = reference
            lines.append(f"{name} @ {reference}" if name else line)
        if tuple(lines) == question.lines.requirements:
            return question
        return replace(question, lines=replace(question.lines, requirements=tuple(lines)))

    def _renamed(self, question: Question, given: str, real: str) -> Question:
        """Correct a guess."""
        reference = self._guessed.pop(given)
        renamed = (
            f"{real} @ {reference}" if line == f"{given} @ {reference}" else line
            for line in question.lines.requirements
        )
        return replace(question, lines=replace(question.lines, requirements=tuple(renamed)))

    def _provisional(self, question: Question, stated: Stated, error: UvError) -> Question:
        known = {(one.name, one.version) for one in question.metadata}
        if (stated.name, stated.version) in known or len(question.metadata) >= _MOST:
            raise error
        self._failures[stated.name] = error
        return replace(question, metadata=(*question.metadata, stated))

    def completed(self, question: Question, packages: Sequence[Package]) -> Question:
        """Return the question with what the sources say instead of what was assumed; itself if nothing was.

        Raises:
            UvError: a source does not say what it requires.
        """
        for package in packages:
            error = self._failures.pop(package.name, None)
            if error is not None:
                question = self._read(question, package, error)
        return question

    def _read(self, question: Question, package: Package, error: UvError) -> Question:
        tree = self.tree_of(package)
        dependencies = tree.dependencies
        if dependencies is None and question.placeholders:
            rest = tuple(one for one in question.metadata if one.name != package.name)
            return replace(question, placeholders=None, metadata=rest)  # it may say more with the real ones
        if dependencies is None:
            raise error
        name = (tree.name if package.name in self._guessed else "") or package.name
        version = package.version if package.version != _UNKNOWN else tree.version or _UNKNOWN
        failed = f"{name}: cannot be asked here what it requires ({error.output.raised})"
        if real := names.pointed_to(name):
            self.reporter.warn(f"{failed}. The package that is meant is probably {real}: write that instead")
        else:
            self.reporter.info(f"{failed}; using what its source says")
        stated = Stated(name, version, dependencies)
        if stated in question.metadata:
            return question  # it requires nothing, as was assumed
        rest = tuple(
            one
            for one in question.metadata
            if one.name != package.name or one.version not in {_UNKNOWN, version}
        )
        if name != package.name:
            question = self._renamed(question, package.name, name)
        return replace(question, metadata=(*rest, stated))


def _reference(line: str, root: Path) -> str:
    """Return what a requirement without a name refers to, marker and all; "" for all others."""
    if requirement_name(line) or line.startswith("-"):
        return ""
    if line.startswith("./"):
        path, semicolon, marker = line.partition(" ;")
        return f"{(root / path).absolute().as_uri()}{semicolon}{marker}"
    return line if url_of(line) else ""


def _guess(url: str) -> str:
    """Return what a repository or an archive is probably called; its source tells later."""
    url = url.partition(" ;")[0].strip()
    name = urls.filename_of(url.partition("@")[0] if url.startswith("git+") else url)
    found = re.match(r"[A-Za-z0-9]([A-Za-z0-9._-]*?[A-Za-z0-9])??(?=-\d|\.git$|\.zip$|\.tar|\.tgz$|$)", name)
    return canonicalize_name(found[0]) if found else "source"
