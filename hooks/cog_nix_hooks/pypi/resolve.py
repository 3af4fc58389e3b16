"""The story: requirement lines in, one wheel or one source for each package out."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from cog_nix.errors import FetchError, LockError
from cog_nix.fetch import caching, urls
from cog_nix.lock.model import Artifact, Wheel
from cog_nix.plugins.spec import PythonResolution
from cog_nix.system import scratch
from cog_nix_hooks.pypi import (
    backends,
    builds,
    commits,
    names,
    placeholders,
    projects,
    standin,
    tensorflow,
    torch,
    uv,
)
from cog_nix_hooks.pypi.errors import PackageError, cause_of
from cog_nix_hooks.pypi.explain import explain
from cog_nix_hooks.pypi.indexes import authorised, credentialed_urls, uv_environment
from cog_nix_hooks.pypi.lines import Lines, covers, parse, url_of
from cog_nix_hooks.pypi.metadata import Metadata
from cog_nix_hooks.pypi.pylock import read_pylock, read_requirers
from cog_nix_hooks.pypi.target import Target
from cog_nix_hooks.pypi.tree import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.plugins.spec import Context, PythonRequest
    from cog_nix_hooks.pypi.pylock import File, Package
    from cog_nix_hooks.pypi.torch import Backend
    from cog_nix_hooks.pypi.tree import Tree

_DEEPEST = 3
"""Builds within builds: so deep may a source need sources."""


def resolve(request: PythonRequest, context: Context) -> PythonResolution:
    """Find one wheel, or a source to build one from, for each requirement and what it requires.

    Raises:
        LockError: the requirements cannot be satisfied, or the index cannot be reached.
    """
    lines = parse(request.requirements, request.asked_in, os.environ)
    settings = context.settings.python
    lines = projects.named(lines, settings.extras, settings.groups, request.project_root)
    lines, asked = commits.keep(lines, request.commits)
    lines = torch.matched(lines, Target(request.python_version, request.glibc, context.platform))
    resolver = _Resolver(request, context, lines, asked)
    try:
        found = _with_companions(resolver, _resolve(resolver))
    except PackageError as error:
        advice = torch.advice(error, lines, resolver.target)
        if advice and advice not in error.hint:
            error.hint = f"{error.hint} {advice}".strip()
        raise
    for wheel in found.wheels:
        _check_secrets(wheel, lines)
    if request.gpu and not request.fixed:  # once, and not with each of the additions
        tensorflow.tell(found.wheels, context.reporter.warn)
    return found


def _resolve(resolver: _Resolver) -> PythonResolution:
    """Resolve with the builds of PyTorch that the project asks for."""
    lines, request = resolver.lines, resolver.request
    if index := torch.named(lines, resolver.target):
        return _with_named(resolver, index)
    choice = torch.choose(lines, request, resolver.target)
    for warning in () if request.fixed else choice.warnings:  # said the first time
        resolver.context.reporter.warn(warning)
    if choice.backend:
        return _with_backend(resolver, choice.backend)
    own = torch.has_own_index(lines)
    found = resolver.wheels(lines, request.pins if own else torch.preferences(request.pins, None))
    required = torch.for_required(lines, request, {wheel.name: wheel.version for wheel in found.wheels})
    return _with_backend(resolver, required, found) if required else found


def _with_companions(resolver: _Resolver, found: PythonResolution) -> PythonResolution:
    """Resolve again where a companion of PyTorch came with something else, and does not go with its torch."""
    request = resolver.request
    instead = torch.mismatched({wheel.name: wheel.version for wheel in found.wheels})
    if not instead or request.fixed or torch.has_own_index(resolver.lines):
        return found
    try:
        known = {**request.reasons, **found.reasons}
        return _resolve(replace(resolver, request=replace(request, fixed=instead, reasons=known)))
    except LockError as error:
        resolver.context.reporter.log(error.message)
        return found


def _with_backend(
    resolver: _Resolver, backend: Backend, found: PythonResolution | None = None
) -> PythonResolution:
    """Resolve with an index of PyTorch's; where it cannot serve, with PyPI's build, unless a pin names it.

    Args:
        resolver: of the project.
        backend: the index.
        found: what PyPI's build comes to, if that is known.

    Raises:
        LockError: the index does not answer, and a pin names it; or nothing fits.
    """
    lines, request = resolver.lines, resolver.request
    failure = ""
    if not standin.is_remembered(backend, request):
        failure = replace(resolver, backend=backend.name).torch_index_failure()
        if failure and backend.pinned:
            raise standin.refused(backend, request, failure)
        if not failure:
            try:
                pins = torch.preferences(request.pins, backend)
                return replace(resolver, backend=backend.name).wheels(lines, pins)
            except LockError as error:
                if backend.pinned:
                    raise
                failure = cause_of(error)
    found = found or resolver.wheels(lines, torch.preferences(request.pins, None))
    if failure:
        resolver.context.reporter.warn(standin.warning(backend, found.wheels, failure))
    return replace(found, reasons={**found.reasons, "torch": standin.reason(backend)})


def _with_named(resolver: _Resolver, index: Backend) -> PythonResolution:
    """Resolve with an index of PyTorch's that a line names; where it does not answer, without it.

    Args:
        resolver: of the project.
        index: the one.
    """
    request, failure = resolver.request, ""
    if not standin.is_remembered(index, request):
        failure = resolver.torch_index_failure()
        if not failure:
            return resolver.wheels(resolver.lines, request.pins)
    lines = torch.matched(replace(resolver.lines, extra=()), resolver.target)
    found = replace(resolver, lines=lines).wheels(lines, torch.preferences(request.pins, None))
    if failure:
        resolver.context.reporter.warn(standin.warning(index, found.wheels, failure))
    return replace(found, reasons={**found.reasons, "torch": standin.reason(index)})


@dataclass
class _Resolver:
    request: PythonRequest
    context: Context
    lines: Lines
    asked: Mapping[str, str]
    """What was asked for where a commit is kept, by the commit's URL."""
    depth: int = 0
    backend: str = ""
    """The index of PyTorch's that its packages come from."""
    trees: dict[str, Tree] = field(default_factory=dict)
    """What was read of sources, by hash and subdirectory."""
    _environments: dict[tuple[object, ...], PythonResolution] = field(default_factory=dict, init=False)

    def wheels(self, lines: Lines, pins: Mapping[str, str]) -> PythonResolution:
        """Resolve lines to wheels, sorted by name, each source with all that building it takes."""
        packages, requirers = self._packages(self._question(lines), pins)
        found = sorted((self._wheel(package, requirers) for package in packages), key=lambda one: one.name)
        by_name = {wheel.name: wheel for wheel in found}
        debs: set[str] = set()
        for wheel in found:
            if wheel.source:
                by_name[wheel.name], needed = self._with_build(wheel, by_name)
                debs.update(needed)
        return PythonResolution(tuple(by_name.values()), tuple(sorted(debs)))

    def _question(self, lines: Lines) -> uv.Question:
        # Where wheels are preferred, sources are the second try.
        return uv.Question(
            lines=lines,
            python_version=self.request.python_version,
            glibc=self.request.glibc,
            platform=self.context.platform,
            project_root=self.request.project_root,
            env=uv_environment(lines, os.environ),
            python=backends.python(self.context.cache_dir, os.environ),
            exclude_newer=self.context.settings.python.exclude_newer,
            builds=not lines.prefer_binary,
            placeholders=placeholders.constraints(self.context.cache_dir / "placeholders"),
            fixed={} if self.depth else self.request.fixed,
            torch_backend=self.backend,
        )

    def torch_index_failure(self) -> str:
        """Return why its index of PyTorch's cannot be had, or the one that lines name; "" when it can."""
        return uv.torch_index_failure(self._question(self.lines))

    def _packages(
        self, question: uv.Question, pins: Mapping[str, str]
    ) -> tuple[list[Package], dict[str, set[str]]]:
        metadata = Metadata(self._source_tree, self.context.reporter)
        log = self.context.reporter.log
        try:
            question, locked = projects.locked(question, self.request, self.target, log)
            with scratch.folder("uv") as folder:
                packages: list[Package] = []
                while True:
                    try:
                        packages = _compiled(question, pins, folder, log, packages)
                    except uv.UvError as error:
                        question = metadata.after_failure(question, error)
                        continue
                    completed = metadata.completed(question, packages)
                    if completed is question:
                        break
                    question = completed
                packages = [package for package in packages if self.target.answers(package.marker)]
                if self.depth:
                    return packages, {}  # nobody asks who requires what in a build
                versions = {package.name: package.version for package in packages if package.version}
                text = uv.compile_annotated(question, versions, folder)
                requirers = read_requirers(text, packages)
                for name, parents in locked.requirers.items():
                    requirers[name] = requirers.get(name, set()) | parents
                packages = [package for package in packages if package.name not in locked.names]
                return [*packages, *locked.packages], requirers
        except uv.UvError as error:
            raise explain(
                error.stderr,
                asked_in=self.request.asked_in,
                python_version=self.request.python_version,
                exclude_newer=question.exclude_newer,
                direct=filter(None, map(url_of, question.lines.requirements)),
                places=question.lines.places,
                instead=_instead(question, error),
            ) from error

    @cached_property
    def target(self) -> Target:
        """What the image takes."""
        return Target(self.request.python_version, self.request.glibc, self.context.platform)

    @cached_property
    def _credentialed(self) -> tuple[str, ...]:
        return credentialed_urls(self.request.requirements, os.environ)

    def _wheel(self, package: Package, requirers: dict[str, set[str]]) -> Wheel:
        """Choose a package's wheel that fits the image best, or else its source."""
        requires = tuple(sorted(name for name, parents in requirers.items() if package.name in parents))
        package = self._allowed(package)
        files = {file.filename: file for file in package.wheels}
        best = None if self._from_source(package) else self.target.best(list(files))
        if best:
            artifact = self._artifact(files[best])
            origin = package.origin(artifact)
            return Wheel(package.name, package.version, artifact, requires, origin=origin)
        source = package.source
        if source is None and not package.folder:
            raise self._nothing_fits(package)
        artifact = self._artifact(package.source_file)
        origin = package.origin(artifact)
        if source and artifact.url in self.asked:
            source = replace(source, revision=self.asked[artifact.url])
        return Wheel(package.name, package.version, artifact, requires, source, origin)

    def _from_source(self, package: Package) -> bool:
        return covers(self.lines.no_binary, package.name) and package.sdist is not None and self.depth == 0

    def _allowed(self, package: Package) -> Package:
        """Leave out files whose hash the requirements do not allow (pip, "Hash-checking Mode")."""
        allowed = self.lines.hashes.get(package.name) if self.depth == 0 else None
        if allowed is None:
            return package
        wheels = tuple(file for file in package.wheels if file.sha256 in allowed)
        sdist = package.sdist if package.sdist and package.sdist.sha256 in allowed else None
        if package.direct or wheels or sdist:
            return replace(package, wheels=wheels, sdist=sdist)
        raise PackageError(
            f"{self.request.asked_in}: no file of {package.name} {package.version} has a hash that the"
            " requirements allow",
            hint="Write the hashes of this version, or pin the version that they belong to.",
            package=package.name,
        )

    def _artifact(self, file: File) -> Artifact:
        """Complete what the index told: some tell neither size nor hash (PEP 503)."""
        sha256, size = file.sha256, file.size
        url = file.url if file.url.startswith("git+") else urls.without_credentials(file.url)
        try:
            if sha256 and size is None and "://" in url:
                size = caching.size_of(authorised(file.url, self._credentialed))
            if sha256 is None or size is None:
                sha256, size = self.context.fetcher.take(url)
        except FetchError as error:
            raise PackageError(f"{self.request.asked_in}: {error.message}", hint=error.hint) from error
        return Artifact(file.filename, url, sha256, size)

    def _source_tree(self, package: Package) -> Tree:
        """Read what a package's source says about it."""
        return self._tree(self._artifact(package.source_file), package.subdirectory)

    def _tree(self, artifact: Artifact, subdirectory: str) -> Tree:
        key = f"{artifact.sha256}/{subdirectory}"
        if key not in self.trees:
            path: Path = self.context.fetcher.artifacts([artifact])[artifact.sha256]
            self.trees[key] = read_tree(path, subdirectory, artifact.filename)
        return self.trees[key]

    def _with_build(self, wheel: Wheel, project: Mapping[str, Wheel]) -> tuple[Wheel, set[str]]:
        """Add what building a source takes; return it and the Debian packages that it needs."""
        assert wheel.source is not None  # noqa: S101 - for the type checker
        if self.depth == _DEEPEST:
            raise PackageError(
                f"{wheel.name} {wheel.version} has to be built from source in order to build others, which"
                f" goes on for more than {_DEEPEST} levels",
                hint="Name versions that have wheels.",
                package=wheel.name,
            )
        settings = self.context.settings.python
        plan = builds.plan(
            self._tree(wheel.artifact, wheel.source.subdirectory),
            wheel.name,
            added=settings.build_requires_of(wheel.name),
            project=project.keys(),
            not_isolated=(*self.lines.not_isolated, *settings.no_build_isolation),
        )
        if plan.imports:
            self.context.reporter.info(
                f"{wheel.name}: its build uses {', '.join(plan.imports)} of this project without asking for"
                " it, so it sees what the image has"
            )
        sees = tuple(name for name in builds.closure(plan.imports, project) if name != wheel.name)
        pins = {name: one.version for name, one in project.items()}
        pins |= self.request.build_pins.get(wheel.name, {})
        try:
            found = self._build_environment(plan.requires, pins)
        except LockError as error:
            raise PackageError(
                f"what building {wheel.name} {wheel.version} takes cannot be resolved:\n{error.message}",
                hint=error.hint,
                package=wheel.name,
                said=[cause_of(error)],
            ) from error
        source = replace(
            wheel.source,
            requires=tuple(one for one in found.wheels if one.name not in sees),
            isolated=not sees,
            sees=sees,
            device_code=plan.device_code,
        )
        return replace(wheel, source=source), {*plan.packages, *found.build_packages}

    def _build_environment(self, requires: tuple[str, ...], pins: Mapping[str, str]) -> PythonResolution:
        """Resolve build requirements, once for all sources that ask for the same."""
        key = (requires, tuple(sorted(pins.items())))
        if key not in self._environments:
            inner = replace(self, depth=self.depth + 1)
            lines = replace(
                self.lines,
                requirements=requires,
                projects=(),
                prefer_binary=True,
                hashes={},
                no_binary=(),
                pre=False,
            )
            self._environments[key] = inner.wheels(lines, pins)
        return self._environments[key]

    def _nothing_fits(self, package: Package) -> PackageError:
        what = f"{package.name} {package.version}".strip()
        asked_in = self.request.asked_in
        have = ", ".join(sorted(file.filename for file in package.wheels)[:5])
        return PackageError(
            f"{asked_in}: no wheel of {what} fits Python {self.request.python_version} with glibc"
            f" {self.request.glibc} on {self.target.platform.machine}, and no source; there are {have}",
            hint="Choose another version of it, or another python_version.",
            package=package.name,
        )


def _instead(question: uv.Question, error: uv.UvError) -> str:
    """Return what to write for a release that no index has; "" for all other failures."""
    if not error.output.unsatisfiable or not error.output.no_release:
        return ""
    name, version = error.output.no_release
    with scratch.folder("uv") as folder:
        other = uv.nearest(question, name, version, folder)
    if other:
        nearest = f"Take the release of it that is nearest, {name}=={other}, or another one."
        return nearest if version else ""
    meant = names.meant(canonicalize_name(name))  # uv does not tell so of what is asked for with an extra
    return f"Did you mean {meant}? No index has a release of {name}." if meant not in {"", name} else ""


def _compiled(
    question: uv.Question,
    pins: Mapping[str, str],
    folder: Path,
    log: Callable[[str], None],
    former: Sequence[Package],
) -> list[Package]:
    """Resolve to packages.

    What a former try came to is all in uv's cache, as the index has it now. Whatever else is there may be of
    another day, so an answer that has more packages does not count.

    Raises:
        UvError: uv failed.
    """
    if former:
        with suppress(uv.UvError):
            again = uv.compile_pylock(question, pins, folder, log, offline=True)
            packages = list(read_pylock(again, question.project_root))
            if {package.name for package in packages} <= {package.name for package in former}:
                return packages
    return list(read_pylock(uv.compile_pylock(question, pins, folder, log), question.project_root))


def _check_secrets(wheel: Wheel, lines: Lines) -> None:
    """Refuse to write a value of the environment into the lock.

    Raises:
        LockError: a URL carries one where it cannot be taken out.
    """
    written = f"{wheel.artifact.url} {wheel.artifact.filename} {wheel.origin}"
    if any(secret in written for secret in lines.secrets):
        raise PackageError(
            f"the URL of {wheel.name} carries the value of an environment variable, which would get into the"
            " lock and the image",
            hint="Put credentials where a URL has them (https://${USER}:${TOKEN}@host/…) or into ~/.netrc.",
            package=wheel.name,
        )
