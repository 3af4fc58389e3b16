"""The names that people write under ``system_packages``, and what Debian calls them.

Lists are written for whatever distribution their author had, mostly Ubuntu. A name that the suite does not
have is looked up in a small table of facts (:mod:`cog_nix_hooks.debian.renamed`); what is not there either
gets suggestions.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from typing import TYPE_CHECKING

from .errors import PackageNamesError
from .relations import Clause, Relation
from .renamed import NOT_NEEDED, RENAMED, advice
from .wanted import Wanted, WantedError, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cog_nix.report import Reporter

    from .packages import Catalogue, Package

_PARTS = re.compile(r"[-+.]")
_SUGGESTIONS = 3


class Names:
    """Turns requested names into clauses, collecting everything that is wrong with them.

    Args:
        catalogue: what there is.
        asked_in: where a name was asked for.
        reporter: is told when a name is taken for another one.
    """

    def __init__(self, catalogue: Catalogue, asked_in: Mapping[str, str], reporter: Reporter) -> None:
        self._catalogue = catalogue
        self._asked_in = asked_in
        self._reporter = reporter
        self._problems: list[str] = []
        self._meant: dict[str, str] = {}

    def clauses(self, wanted: Iterable[str]) -> list[Clause]:
        """Return a clause for each name that can be asked for; the others are remembered as problems."""
        return [clause for entry in dict.fromkeys(wanted) for clause in self._of_entry(entry)]

    def written(self, clause: Clause) -> str:
        """Return a clause of :meth:`clauses` as it was asked for."""
        return self._meant[clause[0].name]

    def check(self) -> None:
        """Raise when a name was wrong.

        Raises:
            PackageNamesError: names all of them.
        """
        if self._problems:
            raise PackageNamesError(self._problems)

    def place(self, name: str) -> str:
        """Return a package's name with where it was asked for: ``ffmpeg (cog.yaml:7)``."""
        written = self._meant.get(name, name)
        where = self._asked_in.get(written)
        return f"{name} ({where})" if where else name

    def _of_entry(self, entry: str) -> list[Clause]:
        try:
            found = [self._clause(entry, Wanted.parse(word)) for word in words(entry)]
        except WantedError as error:
            self._problem(entry, str(error))
            return []
        return [clause for clause in found if clause]

    def _clause(self, entry: str, wanted: Wanted) -> Clause | None:
        name = self._current(entry, wanted.name)
        if not name:
            return None
        problem, version = self._version(name, wanted)
        relation = Relation(
            name, "=" if version else "", version, wanted.qualifier, self._catalogue.architecture
        )
        if problem := problem or self._what_is_wrong(relation):
            self._problem(entry, problem)
            return None
        self._meant[name] = entry
        return (relation,)

    def _current(self, entry: str, name: str) -> str:
        """Return the name that stands for one that the suite no longer has; empty: nothing has to."""
        if self._is_clear(name):
            return name
        suite = f"Debian {self._catalogue.suite}"
        where = f"{self._asked_in[entry]}: " if entry in self._asked_in else ""
        if name in NOT_NEEDED:
            self._reporter.info(f"{where}{name} is not in {suite}: {NOT_NEEDED[name]}; nothing to install.")
            return ""
        renamed = RENAMED.get(name)
        if renamed is None or not self._is_clear(renamed):
            return name
        self._reporter.info(f"{where}{name} is called {renamed} in {suite}; taking that.")
        return renamed

    def _version(self, name: str, wanted: Wanted) -> tuple[str, str]:
        """Return what is wrong with the version or release that is asked for, and the version they mean."""
        named = self._catalogue.named(name)
        suite = f"Debian {self._catalogue.suite}"
        if wanted.release:
            releases = self._catalogue.releases
            if wanted.release not in releases:
                return f"{name}/{wanted.release}: locked are {', '.join(releases)} only.", ""
            found = self._catalogue.in_release(name, wanted.release)
            if named and not found:
                return f"{name} is not in {wanted.release}.", ""
            return "", found[0].version if found else ""
        if not wanted.version or not named:
            return "", wanted.version
        fitting = [each.version for each in named if _fits(each, wanted.version)]
        if fitting:
            return "", fitting[0]
        there = ", ".join(package.version for package in named)
        return f"{name} has no version {wanted.version} in {suite}; there is {there}.", ""

    def _is_clear(self, name: str) -> bool:
        return bool(self._catalogue.named(name)) or len(self._providers(name)) == 1

    def _providers(self, name: str) -> list[str]:
        return sorted({package.name for package in self._catalogue.providing(name)})

    def _what_is_wrong(self, relation: Relation) -> str:
        suite = f"Debian {self._catalogue.suite}"
        if not relation.fits_architecture:
            return f"{relation}: only packages for {self._catalogue.architecture} can be installed."
        named = self._catalogue.named(relation.name)
        if named:
            return ""
        providers = self._providers(relation.name)
        if len(providers) > 1:
            return f"{relation.name!r} is a virtual package in {suite}: name one of {', '.join(providers)}."
        return "" if providers and not relation.version else self._unknown(relation.name)

    def _unknown(self, name: str) -> str:
        sentence = f"there is no package {name!r} in {self._catalogue.title}."
        if name.endswith(("+", "-")) and self._catalogue.named(name[:-1]):
            return (
                f"{sentence} Write {name[:-1]!r}, or leave it out: a sign behind a name is an order to apt."
            )
        if told := advice(name, self._catalogue.names):
            return f"{sentence} {told}"
        close = suggest(name, self._catalogue.names)
        return f"{sentence} Did you mean {' or '.join(close)}?" if close else sentence

    def _problem(self, written: str, text: str) -> None:
        where = self._asked_in.get(written)
        self._problems.append(f"{where}: {text}" if where else text)


def _fits(package: Package, version: str) -> bool:
    """Tell whether a package has a version; apt takes ``*`` and ``?`` in one."""
    return package.version == version or fnmatch.fnmatchcase(package.version, version)


def suggest(name: str, names: Iterable[str]) -> list[str]:
    """Return the names most like one, the likeliest first.

    Only names that begin alike are compared: comparing all 130 000 would take seconds.
    """
    stem = name.removeprefix("lib")
    every = sorted({*names, *RENAMED})
    alike = [each for each in every if each.removeprefix("lib").startswith(stem[:2])]
    containing = [each for each in every if stem in _PARTS.split(each.removeprefix("lib"))]
    longer = sorted(
        (each for each in every if each.startswith(f"{name}-")), key=lambda one: one not in RENAMED
    )
    found = (
        longer[:_SUGGESTIONS]
        or difflib.get_close_matches(name, alike, n=_SUGGESTIONS, cutoff=0.85)
        or sorted(containing, key=_likeliness)[:_SUGGESTIONS]
        or difflib.get_close_matches(name, alike, n=_SUGGESTIONS, cutoff=0.7)
    )
    return list(dict.fromkeys(RENAMED.get(each, each) for each in found))


def _likeliness(name: str) -> tuple[bool, int]:
    """Order names that contain what was asked for: libraries and Python modules are what models need."""
    return (not name.startswith(("lib", "python3-")), len(name))
