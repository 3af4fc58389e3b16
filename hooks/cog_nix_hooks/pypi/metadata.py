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
from cog_nix_hooks.pypi.lines import requirement_name, url_of
from cog_nix_hooks.pypi.uv import Stated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cog_nix.report import Reporter
    from cog_nix_hooks.pypi.pylock import Package
    from cog_nix_hooks.pypi.tree import Tree
    from cog_nix_hooks.pypi.uv import Question, UvError

_FAILED = re.compile(
    r"Failed to (?:download and )?build `(?P<name>[A-Za-z0-9._-]+)(?:==(?P<version>[^`\s]+)| @ [^`]*)`"
)
_BACKEND_FAILED = re.compile(r"The build backend returned an error|Failed to resolve requirements from")
_REASON = re.compile(r"^\s*((?:\w+\.)*\w*(?:Error|Exception|Exit)\b.*)$", re.MULTILINE)
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
    """Lines that had no name, by the name that they were given."""

    def after_failure(self, question: Question, error: UvError) -> Question:
        """Return the question to ask next: the failing package's source has to be found before it is read.

        Raises:
            UvError: there is nothing else to try.
        """
        if not question.builds:
            return replace(question, builds=True)
        if "Git operation failed" in error.stderr:
            raise error
        failed = _FAILED.search(error.stderr)
        if failed:
            stated = Stated(canonicalize_name(failed["name"]), failed["version"] or _UNKNOWN, ())
            if any(one.name == stated.name and one.version == stated.version for one in question.metadata):
                raise error
            return self._provisional(question, [stated], error)
        unnamed = [
            line for line in question.lines.requirements if url_of(line) and not requirement_name(line)
        ]
        if not unnamed or not _BACKEND_FAILED.search(error.stderr):
            raise error
        named = {line: _guess(url_of(line)) for line in unnamed}
        self._guessed |= {name: line for line, name in named.items()}
        lines = [f"{named[line]} @ {line}" if line in named else line for line in question.lines.requirements]
        question = replace(question, lines=replace(question.lines, requirements=tuple(lines)))
        return self._provisional(question, [Stated(name, _UNKNOWN, ()) for name in named.values()], error)

    def _provisional(self, question: Question, stated: list[Stated], error: UvError) -> Question:
        if len(question.metadata) + len(stated) > _MOST:
            raise error
        self._failures |= {one.name: error for one in stated}
        return replace(question, metadata=(*question.metadata, *stated))

    def settled(self, question: Question, packages: Sequence[Package]) -> Question:
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
        if dependencies is None:
            raise error
        guessed = self._guessed.pop(package.name, None)
        name = (tree.name if guessed else "") or package.name
        version = package.version if package.version != _UNKNOWN else tree.version or _UNKNOWN
        self.reporter.info(
            f"{name}: cannot be asked here what it requires ({_reason(error)}); going by what its source says"
        )
        rest = tuple(
            one
            for one in question.metadata
            if one.name != package.name or one.version not in {_UNKNOWN, version}
        )
        lines = question.lines
        if guessed:
            renamed = (
                f"{name} @ {guessed}" if line == f"{package.name} @ {guessed}" else line
                for line in lines.requirements
            )
            lines = replace(lines, requirements=tuple(renamed))
        return replace(question, lines=lines, metadata=(*rest, Stated(name, version, dependencies)))


def _guess(url: str) -> str:
    """Return what a repository or an archive is probably called; its source tells later."""
    name = urls.filename_of(url.partition("@")[0] if url.startswith("git+") else url)
    found = re.match(r"[A-Za-z0-9]([A-Za-z0-9._-]*?[A-Za-z0-9])??(?=-\d|\.git$|\.zip$|\.tar|\.tgz$|$)", name)
    return canonicalize_name(found[0]) if found else "source"


def _reason(error: UvError) -> str:
    found = _REASON.findall(error.stderr)
    return str(found[-1]).strip() if found else "its build failed"
