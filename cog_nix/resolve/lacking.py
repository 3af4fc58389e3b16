"""What an image lacks while it is resolved: libraries of wheels and the project first, of results later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from cog_nix.build.made import COMMAND
from cog_nix.lock import core
from cog_nix.resolve import libraries, programs, python_libraries
from cog_nix.resolve.libraries import Answer
from cog_nix.resolve.wheel_facts import WheelFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Config
    from cog_nix.elf.scan import Scan
    from cog_nix.lock.model import Deb, Interpreter, Lock, Wheel
    from cog_nix.plugins.spec import FoundRequirement
    from cog_nix.programs.project import Start
    from cog_nix.resolve.resolvers import Resolvers

_NOTHING: Mapping[str, Scan] = MappingProxyType({})


@dataclass(frozen=True)
class Lookout:
    """Looks for what files of an image link to and nothing in it has."""

    resolvers: Resolvers
    config: Config
    project: Path
    """Its folder."""
    interpreter: Interpreter

    def requirements(self, wheels: Sequence[Wheel]) -> tuple[FoundRequirement, ...]:
        """Find Python packages with what other Python packages lack.

        Raises:
            LockError: a wheel cannot be read.
        """
        context = self.resolvers.context
        return python_libraries.find(
            config=self.config,
            wheels=wheels,
            read=self._facts(wheels),
            project=self.project,
            brought=_brought(self.interpreter),
            plugins=self.resolvers.plugins,
            context=context,
        )

    def packages(
        self,
        suite: str,
        wheels: Sequence[Wheel],
        present: Sequence[Deb],
        made: Mapping[str, Scan] = _NOTHING,
    ) -> Answer:
        """Find system packages.

        Args:
            suite: where to look.
            wheels: all of the image's.
            present: system packages that are there anyway.
            made: what commands and source builds made, by title (:mod:`cog_nix.build.made`).

        Raises:
            LockError: a wheel cannot be read, or an index is broken.
        """
        context = self.resolvers.context
        return libraries.find(
            suite=suite,
            wheels=wheels,
            read=self._facts(wheels),
            project=self.project,
            present=present,
            plugins=self.resolvers.plugins,
            context=context,
            made=made,
            brought=_brought(self.interpreter),
            gpu=self.config.build.gpu,
        )

    def programs(
        self, suite: str, found: Sequence[Start], wheels: Sequence[Wheel], present: Sequence[Deb]
    ) -> Answer:
        """Find system packages with programs that the source starts.

        Args:
            suite: where to look.
            found: what is started.
            wheels: all of the image's.
            present: system packages that are there anyway.

        Raises:
            LockError: an index is broken.
        """
        return programs.find(
            found,
            suite=suite,
            brought=self._programs(wheels) if found else frozenset(),
            present=present,
            plugins=self.resolvers.plugins,
            context=self.resolvers.context,
        )

    def _programs(self, wheels: Sequence[Wheel]) -> frozenset[str]:
        """Return the programs that wheels bring; each is taken to have one of its own name as well."""
        facts = self._facts(wheels)
        deep = libraries.depths(wheels, gpu=self.config.build.gpu)
        read = [facts(wheel, deep[wheel.name]).programs for wheel in wheels if wheel.name in deep]
        return frozenset(wheel.name for wheel in wheels).union(*read)

    def _facts(self, wheels: Sequence[Wheel]) -> WheelFacts:
        """Return what wheels say of themselves, all of it read."""
        self._known.learn(wheels, libraries.depths(wheels, gpu=self.config.build.gpu))
        return self._known

    @cached_property
    def _known(self) -> WheelFacts:
        return WheelFacts(self.resolvers.context)


def always_there(groups: Mapping[str, Sequence[Deb]]) -> tuple[Deb, ...]:
    """Return the packages that an image has before anything is looked for.

    Args:
        groups: as resolved: ``base``, ``python``, and ``system`` where the project asks for packages.
    """
    core_packages, essential = core.divide(groups["base"], groups["python"])
    own = groups.get("system", ())
    return (*core_packages, *groups["python"], *own, *(essential if own else ()))


def linked_before(former: Lock | None, wheels: Sequence[Wheel], commands: int) -> Answer:
    """Return what a former lock has for commands and source builds that are still there."""
    titles = [f"{wheel.name} {wheel.version}" for wheel in wheels if wheel.source]
    titles += [f"{COMMAND} {number + 1}" for number in range(commands)]
    reasons = tuple(
        (package, reason)
        for package, reason in (former.reasons if former else ())
        if reason.partition(":")[0] in titles
    )
    return Answer(packages=tuple(package for package, _ in reasons), reasons=reasons)


def without_changed(former: Lock, lock: Lock) -> Lock:
    """Return the former lock without reasons that come from commands whose results do not fit any more."""
    gone = {f"{COMMAND} {number + 1}" for number in range(len(lock.runs), len(former.runs))}
    return replace(
        former,
        reasons=tuple(pair for pair in former.reasons if pair[1].partition(":")[0] not in gone),
    )


def _brought(interpreter: Interpreter) -> tuple[str, ...]:
    """Return the soname that an unpacked interpreter brings; Debian's is a package like any other."""
    minor = ".".join(interpreter.version.split(".")[:2])
    return (f"libpython{minor}.so.1.0",) if interpreter.artifact else ()
