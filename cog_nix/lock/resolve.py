"""From a configuration to a lock: ask the plugins in order, keep what was pinned, plan the layers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cog_nix.config.environment import TRACING_REQUIREMENTS
from cog_nix.errors import LockError
from cog_nix.lock import bundled, cog_base, core, duplicates, inputs, layers, python_libraries, sdk, seed
from cog_nix.lock import libraries as libraries_of
from cog_nix.lock import toolkit as toolkits
from cog_nix.lock.format import artifacts, artifacts_of
from cog_nix.lock.made import COMMAND
from cog_nix.lock.model import Interpreter, Lock
from cog_nix.lock.packages import lock_packages
from cog_nix.lock.upgrade import INTERPRETER, Upgrade
from cog_nix.plugins import Plugins, ask
from cog_nix.runs.keys import fitting
from cog_nix.spec import (
    InterpreterChoice,
    PythonRequest,
    PythonResolution,
    SystemRequest,
    SystemResolution,
    ToolkitRequest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cog_nix.config.model import Config, Project, Settings
    from cog_nix.elf.scan import Scan
    from cog_nix.lock.model import Artifact, Deb, NixPackage, Wheel
    from cog_nix.spec import Context
    from cog_nix.store.nix import Nix

_GLIBC = "libc6"


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
            settings: cog-nix.toml, settled (:mod:`cog_nix.lock.cog_base`).
            former: the lock so far, whose pins are kept where they fit.
            upgrade: pins that may move.
            made: what commands and source builds made, by title; None: as far as the former lock tells.

        Raises:
            LockError: something cannot be found or satisfied.
        """
        report = self.context.reporter
        packages = lock_packages(project, settings.nix.packages, self.nix, _packages(former, upgrade))
        pinned = former.interpreter if former and upgrade.keeps(INTERPRETER) else None
        choice = self._interpreter(project, config, pinned)
        suite = settings.debian.suite or choice.suite
        report.step(f"Resolving system packages in Debian {suite}")
        names = cog_base.with_base(config.build.system_packages, settings)
        python_names = (*choice.packages, *(choice.wheel_libraries if config.build.requirements else ()))
        request = SystemRequest(
            suite=suite,
            groups=(("base", ()), ("python", python_names), ("system", names)),
            pins=_deb_pins(former, upgrade),
            asked_in={**cog_base.places(settings), **self.asked_in},
        )
        system = self._ask_system(request)
        version = choice.version or _upstream_version(_named(system.groups, choice.version_of))
        report.step(f"Resolving Python packages for Python {version}")
        glibc = _upstream_version(_named(system.groups, _GLIBC))
        python_request = self._python_request(project, config, version, glibc, (former, upgrade))
        own_library = _interpreter_library(version, choice.artifact)
        wheels, wheel_reasons = self._wheels(project, config, python_request, own_library)
        self._tell(wheel_reasons, former)
        toolkit, toolkit_packages = toolkits.find(
            ToolkitRequest(config, suite, wheels.wheels),
            former.toolkit if former and not upgrade.everything else None,
            toolkits.Resolving(self.plugins, self.context, self._ask_system, self._ask_python),
            PythonRequest(version, (), python_request.glibc, project.root),
        )
        commands = len(config.build.run) + len(config.build.pre_install)
        gpu = config.build.gpu
        added = self._libraries(project, suite, system, wheels.wheels, own_library, gpu=gpu)
        more: list[tuple[str, tuple[str, ...]]] = []
        if added.packages:
            more.append(("libraries", added.packages))
        if commands or any(wheel.source for wheel in wheels.wheels):
            more.append(("build", (*choice.build_packages, *wheels.build_packages, *toolkit_packages)))
        if more:
            asked_in = {**dict(added.reasons), **request.asked_in}
            system = self._ask_system(replace(request, groups=(*request.groups, *more), asked_in=asked_in))
        python, own = system.groups["python"], system.groups.get("system", ())
        libraries = system.groups.get("libraries", ())
        present = (*system.groups["base"], *python, *own, *libraries)
        linked = (
            _linked_before(former, wheels.wheels, commands)
            if made is None
            else self._lacking(
                project, suite, present, wheels.wheels, brought=own_library, made=made, gpu=gpu
            )
        )
        linked_debs = self._linked(request, added, linked)
        self._tell(added, former)
        self._tell(linked, former)
        needed = (*added.packages, *linked.packages, *choice.packages)
        base, essential = core.divide(system.groups["base"], python, needed)
        lock = Lock(
            inputs=inputs.digest(config, settings, project.root),
            suite=suite,
            indexes=tuple(system.indexes),
            seed=self._seed(former, upgrade),
            interpreter=Interpreter(
                kind=choice.kind, version=version, executable=choice.executable, artifact=choice.artifact
            ),
            base=base,
            essential=essential,
            python=tuple(python),
            system=tuple(own),
            wheels=tuple(wheels.wheels),
            libraries=tuple(libraries),
            linked=linked_debs,
            cog_base=bool(settings.debian.cog_base),
            build=tuple(system.groups.get("build", ())),
            runs=former.runs if former else (),
            packages=packages,
            reasons=tuple(
                sorted(
                    {
                        **_renames(names, system),
                        **wheels.reasons,
                        **dict(wheel_reasons.reasons),
                        **dict(added.reasons),
                        **dict(linked.reasons),
                    }.items()
                )
            ),
            layers=layers.plan(
                base=base,
                essential=essential,
                python=python,
                system=(*own, *libraries),
                wheels=wheels.wheels,
                commands=commands,
                linked=linked_debs,
                unpacked=choice.artifact is not None,
                linker=any(libraries_of.is_self_contained(wheel.name) for wheel in wheels.wheels),
                settings=settings.layers,
            ),
            toolkit=toolkit,
        )
        files = self.context.fetcher.artifacts(artifacts(lock))
        lock = self._with_additions(config, _with_links(lock, files))
        lock = replace(lock, runs=fitting(lock, config, lock.runs))
        if former and made is None and (kept := _without_changed(former, lock)) != former:
            # What a command of before linked to says nothing of the command that took its place.
            return self.resolve(project, config, settings, kept, upgrade)
        return lock

    def _interpreter(self, project: Project, config: Config, pinned: Interpreter | None) -> InterpreterChoice:
        version = config.build.python_version
        choice: InterpreterChoice | None = ask(
            self.plugins, "provide_interpreter", python_version=version, pinned=pinned, context=self.context
        )
        if choice is None:
            raise LockError(
                f"{project.config_path.name} asks for Python {version}, which no plugin provides.",
                hint='Debian\'s own interpreters are available: set python_version to "3.13" or "3.11".',
            )
        return choice

    def _libraries(
        self,
        project: Project,
        suite: str,
        system: SystemResolution,
        wheels: Sequence[Wheel],
        brought: Sequence[str],
        *,
        gpu: bool,
    ) -> libraries_of.Answer:
        """Find what wheels and the project's files link to and the image lacks."""
        groups = system.groups
        core_packages, essential = core.divide(groups["base"], groups["python"])
        own = groups.get("system", ())
        present = (*core_packages, *groups["python"], *own, *(essential if own else ()))
        return self._lacking(project, suite, present, wheels, brought=brought, gpu=gpu)

    def _lacking(
        self,
        project: Project,
        suite: str,
        present: Sequence[Deb],
        wheels: Sequence[Wheel],
        *,
        brought: Sequence[str],
        made: Mapping[str, Scan] = MappingProxyType({}),
        gpu: bool,
    ) -> libraries_of.Answer:
        """Find what the image lacks; everything that is to be read is fetched first."""
        return libraries_of.find(
            suite=suite,
            wheels=wheels,
            files=self.context.fetcher.artifacts(artifacts_of(present, wheels)),
            project=project.root,
            present=present,
            plugins=self.plugins,
            context=self.context,
            made=made,
            brought=brought,
            gpu=gpu,
        )

    def link(
        self, project: Project, config: Config, settings: Settings, lock: Lock, made: Mapping[str, Scan]
    ) -> Lock:
        """Return the lock with what commands and source builds link to; the same when nothing is missing.

        Args:
            project: whose.
            config: as it was locked.
            settings: as they were.
            lock: without what is missing.
            made: what was made, by title (:mod:`cog_nix.lock.made`).

        Raises:
            LockError: what is missing does not fit.
        """
        brought = _interpreter_library(lock.interpreter.version, lock.interpreter.artifact)
        missing = self._lacking(
            project,
            lock.suite,
            lock.installed,
            lock.wheels,
            brought=brought,
            made=made,
            gpu=config.build.gpu,
        )
        if not missing.packages:
            return lock
        settings = cog_base.settled(settings, lock, lock.cog_base)
        return self.resolve(project, config, settings, lock, Upgrade(), made=made)

    def _linked(
        self, request: SystemRequest, added: libraries_of.Answer, linked: libraries_of.Answer
    ) -> tuple[Deb, ...]:
        """Return the packages that results link to, beyond those of the rest of the image."""
        if not linked.packages:
            return ()
        groups = (*request.groups, ("libraries", added.packages), ("linked", linked.packages))
        asked_in = {**dict(linked.reasons), **dict(added.reasons), **request.asked_in}
        return tuple(self._ask_system(replace(request, groups=groups, asked_in=asked_in)).groups["linked"])

    def _tell(self, added: libraries_of.Answer, former: Lock | None) -> None:
        """Say what nobody asked for, once."""
        known = dict(former.reasons) if former else {}
        for package, line in added.lines:
            if package not in known:
                self.context.reporter.info(f"Adding {package}: {line}")

    def _ask_system(self, request: SystemRequest) -> SystemResolution:
        answer: SystemResolution | None = ask(
            self.plugins, "resolve_system_packages", request=request, context=self.context
        )
        if answer is None:
            raise LockError(f"No plugin resolves packages of the suite {request.suite}.")
        return answer

    def _python_request(
        self,
        project: Project,
        config: Config,
        version: str,
        glibc: str,
        pins: tuple[Lock | None, Upgrade],
    ) -> PythonRequest:
        return PythonRequest(
            python_version=version,
            requirements=(
                *sdk.requirements(config.build, project.root, self.context.reporter.warn),
                *(TRACING_REQUIREMENTS if config.tracing else ()),
                *bundled.requirements(version),
            ),
            glibc=".".join(glibc.split(".")[:2]),
            project_root=project.root,
            pins={**bundled.preferences(version), **_wheel_pins(*pins)},
            build_pins=_build_pins(*pins),
            commits=_commits(*pins),
            gpu=config.build.gpu,
            cuda=config.build.cuda_named,
            reasons=_reasons(*pins),
            asked_in=config.build.python_requirements or project.config_path.name,
            places=self.python_asked_in,
        )

    def _wheels(
        self, project: Project, config: Config, request: PythonRequest, brought: Sequence[str]
    ) -> tuple[PythonResolution, libraries_of.Answer]:
        """Resolve Python, with the packages that bring libraries which are missing."""
        return python_libraries.resolve(
            request,
            self._ask_python,
            lambda wheels: python_libraries.find(
                config=config,
                wheels=wheels,
                project=project.root,
                brought=brought,
                plugins=self.plugins,
                context=self.context,
            ),
            self.context.reporter,
        )

    def _ask_python(self, request: PythonRequest) -> PythonResolution:
        answer: PythonResolution | None = ask(
            self.plugins, "resolve_python_packages", request=request, context=self.context
        )
        if answer is None:
            raise LockError("No plugin resolves Python packages.")
        return answer

    def _seed(self, former: Lock | None, upgrade: Upgrade) -> Any:
        if former and not upgrade.everything:
            return former.seed
        self.context.reporter.step("Resolving the builders' Python")
        system = self._ask_system(SystemRequest(suite=seed.SUITE, groups=(("seed", seed.PACKAGES),)))
        version = _upstream_version(_named(system.groups, seed.PACKAGES[0]))
        python = self._ask_python(
            PythonRequest(
                python_version=version, requirements=seed.REQUIREMENTS, asked_in="cog-nix's own tools"
            )
        )
        debs = seed.used(system.groups["seed"])
        files = self.context.fetcher.artifacts(artifacts_of(debs, python.wheels))
        return seed.make(debs, python.wheels, files, self.context.cache_dir / "scratch", self.nix)

    def _with_additions(self, config: Config, lock: Lock) -> Lock:
        environment: dict[str, str] = {}
        labels: dict[str, str] = {}
        for added in ask(self.plugins, "image_environment", config=config, lock=lock):
            environment.update(added)
        for added in ask(self.plugins, "image_labels", config=config, lock=lock):
            labels.update(added)
        return replace(
            lock, environment=tuple(sorted(environment.items())), labels=tuple(sorted(labels.items()))
        )


def _with_links(lock: Lock, files: Mapping[str, Path]) -> Lock:
    """Return the lock with links in place of what wheels have twice."""
    links = duplicates.find(lock.wheels, files, layers.wheels_of(lock.layers))
    return replace(lock, links=links, layers=layers.with_links(lock.layers, [name for name, _ in links]))


def _linked_before(former: Lock | None, wheels: Sequence[Wheel], commands: int) -> libraries_of.Answer:
    """Return what a former lock has for commands and source builds that are still there."""
    titles = [f"{wheel.name} {wheel.version}" for wheel in wheels if wheel.source]
    titles += [f"{COMMAND} {number + 1}" for number in range(commands)]
    reasons = tuple(
        (package, reason)
        for package, reason in (former.reasons if former else ())
        if reason.partition(":")[0] in titles
    )
    return libraries_of.Answer(packages=tuple(package for package, _ in reasons), reasons=reasons)


def _without_changed(former: Lock, lock: Lock) -> Lock:
    """Return the former lock without reasons that come from commands whose results do not fit any more."""
    gone = {f"{COMMAND} {number + 1}" for number in range(len(lock.runs), len(former.runs))}
    return replace(
        former,
        reasons=tuple(pair for pair in former.reasons if pair[1].partition(":")[0] not in gone),
    )


def _interpreter_library(version: str, artifact: Artifact | None) -> tuple[str, ...]:
    """Return the soname that an unpacked interpreter brings; Debian's is a package like any other."""
    minor = ".".join(version.split(".")[:2])
    return (f"libpython{minor}.so.1.0",) if artifact else ()


def _named(groups: Mapping[str, Sequence[Deb]], package: str) -> Deb:
    for debs in groups.values():
        for deb in debs:
            if deb.package == package:
                return deb
    raise LockError(f"The suite's base system has no {package}.")


def _upstream_version(deb: Deb) -> str:
    """Return a package's upstream version (Debian Policy 5.6.12): no epoch, no Debian revision."""
    return deb.version.rpartition(":")[2].rpartition("-")[0] or deb.version


def _renames(names: Sequence[str], system: SystemResolution) -> dict[str, str]:
    """Return the reason of each package that was asked for by another name."""
    renamed = [name for name in names if name in system.renamed]
    return {system.renamed[name]: f"{name} is asked for" for name in reversed(renamed)}


def _deb_pins(former: Lock | None, upgrade: Upgrade) -> dict[str, str]:
    if former is None:
        return {}
    return {deb.package: deb.version for deb in former.debs if upgrade.keeps(deb.package)}


def _wheel_pins(former: Lock | None, upgrade: Upgrade) -> dict[str, str]:
    if former is None:
        return {}
    return {wheel.name: wheel.version for wheel in former.wheels if upgrade.keeps(wheel.name)}


def _reasons(former: Lock | None, upgrade: Upgrade) -> dict[str, str]:
    """Return why Python packages are what they are, as far as they are to stay."""
    if former is None:
        return {}
    names = {wheel.name for wheel in former.wheels if upgrade.keeps(wheel.name)}
    return {name: reason for name, reason in former.reasons if name in names}


def _packages(former: Lock | None, upgrade: Upgrade) -> dict[str, NixPackage]:
    if former is None:
        return {}
    return {package.reference: package for package in former.packages if upgrade.keeps(package.reference)}


def _build_pins(former: Lock | None, upgrade: Upgrade) -> dict[str, dict[str, str]]:
    """Return the versions that sources were built with, by the source's name."""
    if former is None:
        return {}
    return {
        wheel.name: {one.name: one.version for one in wheel.source.requires}
        for wheel in former.wheels
        if wheel.source and upgrade.keeps(wheel.name)
    }


def _commits(former: Lock | None, upgrade: Upgrade) -> dict[str, str]:
    """Return the commits of git sources, by ``git+REPOSITORY@REVISION``."""
    found = {}
    for wheel in former.wheels if former else ():
        if wheel.source and wheel.source.kind == "git" and upgrade.keeps(wheel.name):
            repository, _, commit = wheel.artifact.url.rpartition("@")
            found[f"{repository}@{wheel.source.revision}"] = commit
    return found
