"""Finds what files of an image need and nothing in it has: asks the plugins who brings it, and sums up.

Libraries of wheels and of the project come first, those of commands' results and of source builds once they
are there. See docs/design/libraries.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from cog_nix.config.requirements import normalised
from cog_nix.elf.facts import Depth
from cog_nix.elf.scan import DynamicFile, Scan
from cog_nix.lock.reasons import Origin, Reason, Verb
from cog_nix.plugins.spec import LibraryNeed, LibraryRequest, ProgramRequest, PythonLibraryRequest
from cog_nix.resolve.additions import Additions
from cog_nix.resolve.needs import depth, depths, known_to_linker, scans_of, unmet
from cog_nix.resolve.wheel_facts import WheelFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Config
    from cog_nix.lock.model import Deb, Interpreter, Wheel
    from cog_nix.plugins.spec import FoundLibrary, FoundRequirement, GpuLibraries, LibraryResolution
    from cog_nix.programs.project import Start
    from cog_nix.resolve.needs import Owner
    from cog_nix.resolve.request import Tools
    from cog_nix.system.platforms import Platform

_NO_RESULTS: Mapping[Owner, Scan] = MappingProxyType({})
_SHOWN = 6
"""Names in one warning."""


@dataclass(frozen=True)
class DependencySearch:
    """Finds what files of an image need and nothing in it has."""

    tools: Tools
    config: Config
    project: Path
    """Its folder."""
    interpreter: Interpreter

    def python_packages(self, wheels: Sequence[Wheel]) -> tuple[FoundRequirement, ...]:
        """Find Python packages with libraries that other Python packages lack, in the order of their lines.

        Without a GPU only what files link to counts.

        Args:
            wheels: all of the image's.

        Raises:
            LockError: a wheel cannot be read.
        """
        read = self._facts(wheels)
        scans = scans_of(wheels, read, self.project, self._own, self._platform)
        depends = {wheel.name: wheel.depends for wheel in wheels}
        met = known_to_linker(scans, self._own).union(self._bundled)
        deep = depths(wheels, self._own, gpu=self.config.build.gpu)
        texts = {
            wheel.name: read(wheel, Depth.TEXT).named
            for wheel in wheels
            if deep.get(wheel.name) is Depth.TEXT
        }
        named = {owner: _loading(scan, texts.get(str(owner), ())) for owner, scan in scans.items()}
        request = PythonLibraryRequest(
            config=self.config,
            wheels=tuple(wheels),
            needs=tuple(unmet(scans, depends, met)),
            named=tuple(unmet(named, depends, met)),
            asked={
                str(owner): frozenset(
                    soname for one in (scan, named[owner]) for file in one.files for soname in file.needed
                )
                for owner, scan in scans.items()
            },
            requires={
                wheel.name: read(wheel, depth(wheel, self._own)).requires
                for wheel in wheels
                if not wheel.source
            },
        )
        answers = self.tools.plugins.find_python_libraries(request, self.tools.context)
        found = {each.requirement: each for each in reversed(answers)}
        return tuple(found[requirement] for requirement in sorted(found))

    def libraries(
        self,
        suite: str,
        wheels: Sequence[Wheel],
        present: Sequence[Deb],
        results: Mapping[Owner, Scan] = _NO_RESULTS,
    ) -> Additions:
        """Find system packages with libraries; warn of those that nothing has.

        Args:
            suite: where to look.
            wheels: all of the image's; those that are built from source are not there to be read.
            present: system packages that are there anyway.
            results: what commands and source builds left behind.

        Raises:
            LockError: a wheel cannot be read, or an index is broken.
        """
        scans = {**scans_of(wheels, self._facts(wheels), self.project, self._own, self._platform), **results}
        provided = known_to_linker(scans, self._own).union(self._bundled)
        request = LibraryRequest(
            suite=suite,
            needs=tuple(unmet(scans, {wheel.name: wheel.depends for wheel in wheels}, provided)),
            distributions=tuple(sorted(wheel.name for wheel in wheels)),
            built=tuple(sorted(wheel.name for wheel in wheels if wheel.name not in scans)),
            present=tuple(present),
            gpu=self.config.build.gpu,
        )
        found = self.tools.plugins.find_libraries(request, self.tools.context)
        if found is None:
            return Additions()
        versions = {wheel.name: wheel.version for wheel in wheels}
        missing = _without_substitute(found, scans)
        self._warn(missing, versions, suite)
        # A file that will not load anyway asks for nothing: GPU back ends of other makers, for one.
        dead = {replace(need, soname="") for need in missing}
        alive = [each for each in found.found if replace(each.need, soname="") not in dead]
        return Additions(tuple(_reasons(alive, versions)), found.seals)

    def programs(
        self, suite: str, starts: Sequence[Start], wheels: Sequence[Wheel], present: Sequence[Deb]
    ) -> Additions:
        """Find system packages with programs that the source starts.

        Args:
            suite: where to look.
            starts: what is started.
            wheels: all of the image's.
            present: system packages that are there anyway.

        Raises:
            LockError: an index is broken.
        """
        provided = set(map(normalised, self._programs_of(wheels))) if starts else set()
        wanted = {start.program: start for start in starts if normalised(start.program) not in provided}
        if not wanted:
            return Additions()
        request = ProgramRequest(suite, tuple(wanted), tuple(present))
        found = self.tools.plugins.find_programs(request, self.tools.context) or {}
        first: dict[str, Start] = {}
        for program in sorted(found):
            first.setdefault(found[program], wanted[program])
        return Additions(
            tuple(
                Reason(
                    package,
                    Verb.STARTS,
                    start.program,
                    path=start.path,
                    told=f"{start.place} starts {start.program}",
                )
                for package, start in sorted(first.items())
            )
        )

    def _programs_of(self, wheels: Sequence[Wheel]) -> frozenset[str]:
        """Return the programs of wheels; each is taken to have one of its own name as well."""
        facts = self._facts(wheels)
        deep = depths(wheels, self._own, gpu=self.config.build.gpu)
        read = [facts(wheel, deep[wheel.name]).programs for wheel in wheels if wheel.name in deep]
        return frozenset(wheel.name for wheel in wheels).union(*read)

    def _facts(self, wheels: Sequence[Wheel]) -> WheelFacts:
        """Return what wheels say of themselves, all of it read."""
        self._known.learn(wheels, depths(wheels, self._own, gpu=self.config.build.gpu))
        return self._known

    @property
    def _platform(self) -> Platform:
        return self.tools.context.platform

    @cached_property
    def _known(self) -> WheelFacts:
        return WheelFacts(self.tools.context)

    @cached_property
    def _own(self) -> GpuLibraries:
        return self.tools.plugins.describe_gpu_libraries()

    @property
    def _bundled(self) -> tuple[str, ...]:
        """The soname that an unpacked interpreter has; one that is a system package is like any other."""
        minor = ".".join(self.interpreter.version.split(".")[:2])
        return (f"libpython{minor}.so.1.0",) if self.interpreter.artifact else ()

    def _warn(self, missing: Iterable[LibraryNeed], versions: Mapping[str, str], suite: str) -> None:
        by_origin: dict[Origin, list[LibraryNeed]] = {}
        for need in missing:
            by_origin.setdefault(_origin(need, versions), []).append(need)
        for origin, needs in by_origin.items():
            names = list(dict.fromkeys(need.soname for need in needs))
            known = self._own.sonames and any(re.match(self._own.sonames, name) for name in names)
            advice = f" {self._own.advice}" if known else ""
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            self.tools.reporter.warn(
                f"{origin} links to {', '.join(names[:_SHOWN])}{more}, which nothing in the "
                f"image and no package of {suite} has: {needs[0].path} will not load.{advice}"
            )


def _loading(scan: Scan, named: Sequence[tuple[str, str]]) -> Scan:
    """Return what stands in files as text as if they linked to it: it is looked for in the same places.

    A library's text has its own name, and often those of the libraries that lie beside it.
    """
    search = {file.path: file.search for file in scan.files}
    return replace(
        scan, files=tuple(DynamicFile(path, (name,), search.get(path, ())) for path, name in named)
    )


def _without_substitute(found: LibraryResolution, scans: Mapping[Owner, Scan]) -> list[LibraryNeed]:
    """Return the missing needs that nothing stands in for.

    A library of the same name, perhaps of another version, says that the file is one of several variants, or
    that its owner counts on another package being imported first.
    """
    there = {_stem(name) for scan in scans.values() for name in scan.names}
    there |= {_stem(one.need.soname) for one in found.found}
    return [need for need in found.missing if _stem(need.soname) not in there]


def _stem(soname: str) -> str:
    return soname.partition(".so")[0]


def _reasons(found: Iterable[FoundLibrary], versions: Mapping[str, str]) -> Iterator[Reason]:
    """Yield each package once, with the first file that asks for it."""
    first: dict[str, LibraryNeed] = {}
    for each in sorted(found, key=lambda one: (one.package, *_place(one.need))):
        first.setdefault(each.package, each.need)
    for package, need in first.items():
        verb = _verb(need)
        origin = _origin(need, versions)
        owner = need.owner or (str(origin) if need.command else "the project")
        told = f"{owner} {Verb.LINKS if verb is Verb.NEEDS else verb} {need.soname}"
        yield Reason(package, verb, need.soname, origin, need.path, told=told)


def _place(need: LibraryNeed) -> tuple[str, int, str]:
    return need.owner, need.command, need.path


def _origin(need: LibraryNeed, versions: Mapping[str, str]) -> Origin:
    return Origin(need.owner, versions.get(need.owner, ""), need.command)


def _verb(need: LibraryNeed) -> Verb:
    if need.path:
        return Verb.NEEDS
    if need.soname.endswith(".h"):
        return Verb.COMPILES
    return Verb.LOADS if ".so" in need.soname else Verb.RUNS
