"""From a configuration to a lock: ask the plugins in order, keep what was pinned, plan the layers."""

from __future__ import annotations

import functools
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cog_nix.config.environment import TRACING_REQUIREMENTS
from cog_nix.errors import LockError
from cog_nix.lock.model import Interpreter
from cog_nix.lock.pins import Pins
from cog_nix.lock.run_keys import fitting
from cog_nix.lock.upgrade import Upgrade
from cog_nix.plugins.spec import PythonRequest, SystemRequest, ToolkitRequest
from cog_nix.resolve import bundled, cog_base, lacking, programs, python_libraries, sdk, seed
from cog_nix.resolve import toolkit as toolkits
from cog_nix.resolve.assemble import Parts, assemble
from cog_nix.resolve.lacking import Lookout
from cog_nix.resolve.packages import lock_packages
from cog_nix.resolve.resolvers import Resolvers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.elf.scan import Scan
    from cog_nix.lock.model import Deb, Lock, Seed, Toolkit, Wheel
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import (
        Context,
        InterpreterChoice,
        PythonResolution,
        SystemResolution,
        ToolkitChoice,
    )
    from cog_nix.resolve.libraries import Answer
    from cog_nix.store.nix import Nix

_GLIBC = "libc6"


@dataclass(frozen=True)
class _Question:
    """What is to be resolved."""

    project: Project
    config: Config
    settings: Settings
    pins: Pins
    made: Mapping[str, Scan] | None
    """What commands and source builds made, by title; None: as far as the former lock tells."""

    @property
    def commands(self) -> int:
        return len(self.config.build.run) + len(self.config.build.pre_install)


@dataclass(frozen=True)
class Resolver:
    """Everything that resolving needs beside the question."""

    plugins: Plugins
    context: Context
    nix: Nix | None = None
    asked_in: Mapping[str, str] = field(default_factory=dict)
    """Where each system package is asked for (``cog.yaml:7``), for error messages."""
    python_asked_in: Mapping[str, str] = field(default_factory=dict)
    """Where each Python package is asked for, by normalised name."""

    @property
    def _ask(self) -> Resolvers:
        return Resolvers(self.plugins, self.context)

    def resolve(
        self,
        project: Project,
        config: Config,
        settings: Settings,
        former: Lock | None,
        upgrade: Upgrade,
        *,
        made: Mapping[str, Scan] | None = None,
    ) -> Lock:
        """Return the lock for a configuration.

        Args:
            project: where it stands.
            config: what to resolve.
            settings: cog-nix.toml, settled (:mod:`cog_nix.resolve.cog_base`).
            former: the lock so far, whose pins are kept where they fit.
            upgrade: pins that may move.
            made: what commands and source builds made, by title; None: as far as the former lock tells.

        Raises:
            LockError: something cannot be found or satisfied.
        """
        question = _Question(project, config, settings, Pins(former, upgrade), made)
        with ExitStack() as working:
            # Made once, while other things are resolved.
            seed_begun = functools.cache(lambda: working.enter_context(self._seed(question.pins)))
            parts = self._parts(question, seed_begun)
        lock = assemble(parts, config, settings, self.plugins, self.context)
        lock = replace(lock, runs=fitting(lock, config, lock.runs))
        if former and made is None and (kept := lacking.without_changed(former, lock)) != former:
            # What a command of before linked to says nothing of the command that took its place.
            return self.resolve(project, config, settings, kept, upgrade)
        return lock

    def link(
        self, project: Project, config: Config, settings: Settings, lock: Lock, made: Mapping[str, Scan]
    ) -> Lock:
        """Return the lock with what commands and source builds link to; the same when nothing is missing.

        Args:
            project: whose.
            config: as it was locked.
            settings: as they were.
            lock: without what is missing.
            made: what was made, by title (:mod:`cog_nix.build.made`).

        Raises:
            LockError: what is missing does not fit.
        """
        lookout = Lookout(self._ask, config, project.root, lock.interpreter)
        if not lookout.packages(lock.suite, lock.wheels, lock.installed, made).packages:
            return lock
        settings = cog_base.settled(settings, lock, lock.cog_base)
        return self.resolve(project, config, settings, lock, Upgrade(), made=made)

    def _parts(self, question: _Question, seed_begun: Callable[[], Callable[[], Seed]]) -> Parts:
        """Resolve everything: the system, Python, what both lack, what builds need."""
        packages = lock_packages(
            question.project, question.settings.nix.packages, self.nix, question.pins.packages
        )
        choice = self._ask.interpreter(question.project, question.config, question.pins.interpreter)
        request = self._system_request(question, choice)
        system = self._ask.system(request)
        interpreter = _interpreter(choice, system)
        lookout = Lookout(self._ask, question.config, question.project.root, interpreter)
        python_request = self._python_request(question, interpreter, system)
        own = self._ask.python(python_request)
        made_seed = seed_begun()
        # Before anything is fetched to be looked into: it may be that builds want another suite.
        offer = toolkits.offered(ToolkitRequest(question.config, request.suite, own.wheels), self._ask)
        if offer and offer.suite not in ("", request.suite):
            return self._elsewhere(question, offer, seed_begun)
        python, brought = self._extended_python(python_request, own, lookout, question)
        toolkit, tools = self._toolkit(offer, question, python_request)
        present = lacking.always_there(system.groups)
        added = lookout.packages(request.suite, python.wheels, present)
        starts = programs.starts(question.project.root, question.config, question.settings)
        started = lookout.programs(request.suite, starts, python.wheels, present)
        added = added.beside(self._fitting(request, system, added, started))
        builds = question.commands or any(wheel.source for wheel in python.wheels)
        tools = (*choice.build_packages, *python.build_packages, *tools) if builds else ()
        system = self._extended(request, system, added, tools)
        linked = self._linked(question, lookout, request.suite, system, python.wheels)
        linked_debs = self._linked_debs(request, added, linked)
        self._tell(question, added)
        self._tell(question, linked)
        return Parts(
            project=question.project.root,
            packages=packages,
            names=cog_base.with_base(question.config.build.system_packages, question.settings),
            choice=choice,
            interpreter=interpreter,
            suite=request.suite,
            system=system,
            python=python,
            toolkit=toolkit,
            commands=question.commands,
            runs=former.runs if (former := question.pins.former) else (),
            answers=(brought, added, linked),
            linked=linked_debs,
            seed=made_seed(),
            programs=programs.names(starts) if question.settings.debian.programs else None,
        )

    def _system_request(self, question: _Question, choice: InterpreterChoice) -> SystemRequest:
        suite = question.settings.debian.suite or choice.suite
        self.context.reporter.step(f"Resolving system packages in Debian {suite}")
        build = question.config.build
        names = cog_base.with_base(build.system_packages, question.settings)
        python = (*choice.packages, *(choice.wheel_libraries if build.requirements else ()))
        return SystemRequest(
            suite=suite,
            groups=(("base", ()), ("python", python), ("system", names)),
            pins=question.pins.debs,
            asked_in={**cog_base.places(question.settings), **self.asked_in},
        )

    def _python_request(
        self, question: _Question, interpreter: Interpreter, system: SystemResolution
    ) -> PythonRequest:
        version, pins, config = interpreter.version, question.pins, question.config
        self.context.reporter.step(f"Resolving Python packages for Python {version}")
        root = question.project.root
        glibc = _upstream_version(_named(system.groups, _GLIBC))
        return PythonRequest(
            python_version=version,
            requirements=(
                *sdk.requirements(config.build, root, self.context.reporter.warn),
                *(TRACING_REQUIREMENTS if config.tracing else ()),
                *bundled.requirements(version),
            ),
            glibc=".".join(glibc.split(".")[:2]),
            project_root=root,
            pins={**bundled.preferences(version), **pins.wheels},
            build_pins=pins.builds,
            commits=pins.commits,
            gpu=config.build.gpu,
            cuda=config.build.cuda_named,
            reasons=pins.reasons,
            asked_in=config.build.python_requirements or question.project.config_path.name,
            places=self.python_asked_in,
        )

    def _elsewhere(
        self, question: _Question, offer: ToolkitChoice, seed_begun: Callable[[], Callable[[], Seed]]
    ) -> Parts:
        """Resolve everything in the suite that builds need."""
        self.context.reporter.info(offer.because)
        debian = replace(question.settings.debian, suite=offer.suite)
        settings = replace(question.settings, debian=debian)
        context = replace(self.context, settings=settings)
        there = replace(self, context=context)
        return there._parts(replace(question, settings=settings), seed_begun)  # noqa: SLF001 - its own

    def _extended_python(
        self, request: PythonRequest, own: PythonResolution, lookout: Lookout, question: _Question
    ) -> tuple[PythonResolution, Answer]:
        """Add the Python packages that bring libraries which are missing."""
        found, brought = python_libraries.extend(
            request, own, self._ask.python, lookout.requirements, self.context.reporter
        )
        self._tell(question, brought)
        return found, brought

    def _toolkit(
        self, offer: ToolkitChoice | None, question: _Question, request: PythonRequest
    ) -> tuple[Toolkit | None, tuple[str, ...]]:
        """Return the compiler for GPUs, and what the build system needs for it."""
        if offer is None:
            return None, ()
        python = PythonRequest(request.python_version, (), request.glibc, request.project_root)
        return toolkits.resolve(offer, question.pins.toolkit, self._ask, python), offer.build_packages

    def _extended(
        self, request: SystemRequest, system: SystemResolution, added: Answer, tools: tuple[str, ...]
    ) -> SystemResolution:
        """Return the system with libraries that nobody named, and with what builds need."""
        more = (("libraries", added.packages), ("build", tools))
        groups = tuple(group for group in more if group[1])
        if not groups:
            return system
        asked_in = {**dict(added.reasons), **request.asked_in}
        return self._ask.system(replace(request, groups=(*request.groups, *groups), asked_in=asked_in))

    def _fitting(
        self, request: SystemRequest, system: SystemResolution, added: Answer, more: Answer
    ) -> Answer:
        """Return what can be added for programs without moving what is there; warn of the rest."""
        left_out: list[str] = []
        pending = [name for name in more.packages if name not in added.packages]
        if not pending or self._fits(request, system, (*added.packages, *pending)):
            return more
        taken = list(added.packages)
        for name in pending:
            if self._fits(request, system, (*taken, name)):
                taken.append(name)
            else:
                left_out.append(name)
        lines = dict(more.lines)
        for name in left_out:
            self.context.reporter.warn(
                f"{lines[name]}, and its package {name} does not fit beside the others: left out."
            )
        return more.without(left_out)

    def _fits(self, request: SystemRequest, system: SystemResolution, packages: tuple[str, ...]) -> bool:
        """Tell whether packages can be added, and everything that is there stays as it is."""
        try:
            found = self._ask.system(replace(request, groups=(*request.groups, ("libraries", packages))))
        except LockError:
            return False
        return all(found.groups[label] == debs for label, debs in system.groups.items())

    def _linked(
        self,
        question: _Question,
        lookout: Lookout,
        suite: str,
        system: SystemResolution,
        wheels: Sequence[Wheel],
    ) -> Answer:
        """Find what commands and source builds link to."""
        if question.made is None:
            return lacking.linked_before(question.pins.former, wheels, question.commands)
        present = [
            deb for group in ("base", "python", "system", "libraries") for deb in system.groups.get(group, ())
        ]
        return lookout.packages(suite, wheels, present, question.made)

    def _linked_debs(self, request: SystemRequest, added: Answer, linked: Answer) -> tuple[Deb, ...]:
        """Return the packages that results link to, beyond those of the rest of the image."""
        if not linked.packages:
            return ()
        groups = (*request.groups, ("libraries", added.packages), ("linked", linked.packages))
        asked_in = {**dict(linked.reasons), **dict(added.reasons), **request.asked_in}
        return tuple(self._ask.system(replace(request, groups=groups, asked_in=asked_in)).groups["linked"])

    @contextmanager
    def _seed(self, pins: Pins) -> Iterator[Callable[[], Seed]]:
        """Resolve the builders' Python, and begin to make it; yield what waits for it."""
        if pinned := pins.seed:
            yield lambda: pinned
            return
        self.context.reporter.step("Resolving the builders' Python")
        system = self._ask.system(SystemRequest(suite=seed.SUITE, groups=(("seed", seed.PACKAGES),)))
        version = _upstream_version(_named(system.groups, seed.PACKAGES[0]))
        wheels = self._ask.python(
            PythonRequest(
                python_version=version, requirements=seed.REQUIREMENTS, asked_in="cog-nix's own tools"
            )
        ).wheels
        context, debs = self.context, system.groups["seed"]
        with seed.begun(debs, wheels, context.fetcher, context.cache_dir, self.nix) as made:
            yield made

    def _tell(self, question: _Question, added: Answer) -> None:
        """Say what nobody asked for, once."""
        for package, line in added.lines:
            if package not in question.pins.told:
                self.context.reporter.info(f"Adding {package}: {line}")


def _interpreter(choice: InterpreterChoice, system: SystemResolution) -> Interpreter:
    """Return the project's Python, with the version that its package has."""
    version = choice.version or _upstream_version(_named(system.groups, choice.version_of))
    return Interpreter(
        kind=choice.kind, version=version, executable=choice.executable, artifact=choice.artifact
    )


def _named(groups: Mapping[str, Sequence[Deb]], package: str) -> Deb:
    for debs in groups.values():
        for deb in debs:
            if deb.package == package:
                return deb
    raise LockError(f"The suite's base system has no {package}.")


def _upstream_version(deb: Deb) -> str:
    """Return a package's upstream version (Debian Policy 5.6.12): no epoch, no Debian revision."""
    return deb.version.rpartition(":")[2].rpartition("-")[0] or deb.version
