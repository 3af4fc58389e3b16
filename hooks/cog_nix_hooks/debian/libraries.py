"""The story of finding libraries: what is there, what does not count, and which packages have the rest."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.errors import FetchError
from cog_nix.plugins.spec import FoundLibrary, LibraryNeed, LibraryResolution

from .archive import fetch_contents, open_suite
from .companions import COMPILED, LINKED, LOADED, STARTED, is_from_host, is_optional
from .contents import open_contents
from .errors import BrokenIndexError
from .provided import provided
from .resolve import as_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cog_nix.lock.model import Deb
    from cog_nix.plugins.spec import Context, LibraryRequest

    from .contents import Contents
    from .packages import Catalogue, Package

_NOT_FOR_RUNNING = re.compile(r"-(dev|dbg|dbgsym|cross|headers|test|tests|examples)$")
_INTERPRETER = re.compile(r"python(3\.\d+)")
_PUNCTUATION = re.compile(r"[^a-z0-9]")


def find_libraries(request: LibraryRequest, context: Context) -> LibraryResolution:
    """Find packages for libraries that an image lacks.

    Raises:
        LockError: a package or an index cannot be read.
        FetchError: the archive cannot be read.
    """
    cache = context.cache_dir / "debian"
    by_package = provided(request.present, context.fetcher, cache)
    there = {name for one in by_package.values() for name in one.names}
    seals = tuple((package, one.seal) for package, one in by_package.items())
    linked = [need for need in request.needs if need.soname not in there and _counts(need)]
    loaded = [need for need in _loaded(request) if need.soname not in there]
    started = [*_started(request), *(_compiled(request) if context.settings.gpu.compiler else ())]
    if not linked and not loaded:
        return LibraryResolution(tuple(started), (), seals)
    wanted = [*linked, *loaded]
    index = open_index(request.suite, [need.soname for need in wanted], context)
    if index is None:
        return LibraryResolution(tuple(started), (), seals)
    with index[0] as contents, open_suite(request.suite, context) as suite:
        confirm = None if index[1] else partial(_has, context)
        chooser = _Chooser(contents, suite.catalogue, request.present, confirm)
        found = [*chooser.look_up(linked), *chooser.look_up(loaded)]
        known = {each.need.soname for each in found} | chooser.there
    missing = [need for need in linked if need.soname not in known]
    return LibraryResolution((*found, *started), tuple(missing), seals)


def open_index(
    suite: str,
    wanted: Sequence[str],
    context: Context,
    *,
    otherwise: str = "and then in the packages themselves",
) -> tuple[Contents, bool] | None:
    """Open the Contents index, and tell whether it is signed; where there is none, say what that means.

    Args:
        suite: whose.
        wanted: what is looked up in it.
        context: fetches it.
        otherwise: how what an index that is not signed says is confirmed, for the warning.
    """
    names = ", ".join(dict.fromkeys(wanted))
    advice = f"Not looked up: {names}. Name their packages under build.system_packages, or lock again later."
    try:
        index = fetch_contents(suite, context)
        if index is None:
            context.reporter.warn(f"The Debian mirror has no Contents index of {suite}. {advice}")
            return None
        contents = open_contents(
            index.source,
            sha256=index.sha256,
            cache_dir=context.cache_dir / "debian",
            signed=index.signed,
            triplet=context.platform.triplet,
        )
    except (FetchError, BrokenIndexError) as error:
        if isinstance(error, BrokenIndexError) and error.signed:
            raise
        context.reporter.warn(f"The Contents index of {suite} cannot be had: {error.message}\n{advice}")
        return None
    if not index.signed:
        context.reporter.warn(
            f"The Debian mirror's Contents index of {suite} is not the one that its Release file names: "
            f"one of the two is out of date. Looked up in it, {otherwise}: {names}."
        )
    return contents, index.signed


def _has(context: Context, package: Package, soname: str) -> bool:
    """Look into a package for a library, where the index that names it may be anybody's.

    Raises:
        LockError: the package cannot be read.
        FetchError: it cannot be fetched.
    """
    deb = as_locked(package)
    context.fetcher.artifacts([deb.artifact])  # the whole of it, which nobody else checks
    found = provided([deb], context.fetcher, context.cache_dir / "debian")
    return soname in found[deb.package].names


def _counts(need: LibraryNeed) -> bool:
    return not is_from_host(need.soname) and not is_optional(need.owner, need.path)


def _loaded(request: LibraryRequest) -> Iterator[LibraryNeed]:
    """Yield what is known of packages; a name that the suite does not have is that of another suite."""
    tables = [(LOADED, name) for name in request.distributions] + [(LINKED, name) for name in request.built]
    for table, name in tables:
        for soname in table.get(name, ()):
            yield LibraryNeed(name, "", soname)


def _started(request: LibraryRequest) -> Iterator[FoundLibrary]:
    present = {deb.package for deb in request.present}
    for name in request.distributions:
        program, package = STARTED.get(name, ("", ""))
        if package and package not in present:
            yield FoundLibrary(package, LibraryNeed(name, "", program))


def _compiled(request: LibraryRequest) -> Iterator[FoundLibrary]:
    """Yield compilers, and the headers of Debian's Python where that is the image's."""
    present = {deb.package for deb in request.present}
    minors = [found[1] for name in sorted(present) if (found := _INTERPRETER.fullmatch(name))]
    for name in request.distributions if request.gpu else ():
        for what, pattern in COMPILED.get(name, ()):
            if "{minor}" in pattern and not minors:
                continue  # another Python brings its headers itself
            package = pattern.format(minor=minors[0] if minors else "")
            if package not in present:
                yield FoundLibrary(package, LibraryNeed(name, "", what))


class _Chooser:
    """Picks one package for each library.

    Args:
        contents: which packages have it.
        catalogue: what there is.
        present: what is in the image.
        has: looks whether a package has what the index says; None: the index is the archive's.
    """

    def __init__(
        self,
        contents: Contents,
        catalogue: Catalogue,
        present: Sequence[Deb],
        has: Callable[[Package, str], bool] | None = None,
    ) -> None:
        self._contents = contents
        self._catalogue = catalogue
        self._has = has
        self._known: dict[str, str] = {}
        self._present = {deb.package for deb in present}
        self.there: set[str] = set()
        """Libraries of packages that are in the image, under names that these do not declare."""

    def look_up(self, needs: Iterable[LibraryNeed]) -> Iterator[FoundLibrary]:
        """Yield a package for each need that some package meets and none that is present does."""
        for need in needs:
            if need.soname not in self._known:
                self._known[need.soname] = self._choose(need.soname)
            if package := self._known[need.soname]:
                yield FoundLibrary(package, need)

    def _choose(self, soname: str) -> str:
        names = [name for name in self._contents.packages(soname) if not _NOT_FOR_RUNNING.search(name)]
        if self._present.intersection(names):
            self.there.add(soname)
            return ""
        possible = self._catalogue.beside(names, self._present)
        ranked = sorted(possible, key=lambda package: _rank(package, soname))
        return next((one.name for one in ranked if self._has is None or self._has(one, soname)), "")


def _rank(package: Package, soname: str) -> tuple[int, int, int, str]:
    """Order: the package named after the library (Policy 8.1), the fewest dependencies, the smallest."""
    named = _PUNCTUATION.sub("", package.name.removesuffix("t64"))
    plain = _PUNCTUATION.sub("", soname.lower().replace(".so", ""))
    fits = 0 if named == plain else 1 if plain.startswith(named) else 2
    return fits, len(package.depends), package.installed_size, package.name
