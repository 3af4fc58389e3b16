"""Libraries that nobody named: what files in the image link to, and nothing that comes with them has.

A need of a file in a wheel is met by the wheel itself, by a wheel that it depends on (imported before it), or
by whatever its run path reaches. The rest is asked of the plugin that knows the system's libraries. See
docs/design/libraries.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from cog_nix.elf.facts import Depth
from cog_nix.elf.folder import scan_project
from cog_nix.plugins.manager import Plugins, ask
from cog_nix.plugins.spec import FoundLibrary, LibraryNeed, LibraryRequest, LibraryResolution

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.elf.scan import DynamicFile, Scan
    from cog_nix.lock.model import Deb, Lock, Wheel
    from cog_nix.plugins.spec import Context
    from cog_nix.report import Reporter
    from cog_nix.resolve.wheel_facts import Read

PROJECT = ""
"""The owner of the project's own files."""

_SELF_CONTAINED = re.compile(r"nvidia-")
"""NVIDIA's own distributions of CUDA: 4 GB to inflate. They link to each other, to glibc and to the driver;
beyond that only to what network cards bring. Of these wheels only the names of libraries are read."""

_CUDA = re.compile(r"lib(cu(dart|blas|fft|rand|solver|sparse|dnn)|nvrtc|nvJitLink|nccl)")

THE_PROJECT = "The project"

_SHOWN = 6
"""Names in one warning."""


@dataclass(frozen=True)
class Answer:
    """What to add to the image."""

    packages: tuple[str, ...] = ()
    """Names, sorted."""
    reasons: tuple[tuple[str, str], ...] = ()
    """``(package, sentence)``, one a package, with the file that asks."""
    lines: tuple[tuple[str, str], ...] = ()
    """``(package, sentence)``, one a package, in few words."""
    seals: tuple[tuple[str, str], ...] = ()
    """``(package, seal)``, of packages that were looked into."""

    def beside(self, other: Answer) -> Answer:
        """Return both; of a package that is in both, what the other says of it is left out."""
        return Answer(
            packages=tuple(sorted({*self.packages, *other.packages})),
            reasons=(*self.reasons, *(pair for pair in other.reasons if pair[0] not in self.packages)),
            lines=(*self.lines, *(pair for pair in other.lines if pair[0] not in self.packages)),
        )

    def without(self, packages: Collection[str]) -> Answer:
        """Return it without some packages."""
        return Answer(
            packages=tuple(name for name in self.packages if name not in packages),
            reasons=tuple(pair for pair in self.reasons if pair[0] not in packages),
            lines=tuple(pair for pair in self.lines if pair[0] not in packages),
        )


def project_links(root: Path) -> bool:
    """Tell whether a project has programs or libraries of its own."""
    return bool(scan_project(root).files)


def project_linked(lock: Lock) -> bool:
    """Tell whether a lock holds a library for a project's own files."""
    return any(reason.startswith(f"{THE_PROJECT}:") and " needs " in reason for _, reason in lock.reasons)


def find(
    *,
    suite: str,
    wheels: Sequence[Wheel],
    read: Read,
    project: Path,
    present: Sequence[Deb],
    plugins: Plugins,
    context: Context,
    made: Mapping[str, Scan] = MappingProxyType({}),
    brought: Collection[str] = (),
    gpu: bool = False,
) -> Answer:
    """Find the system packages that nobody named.

    Args:
        suite: where to look.
        wheels: all of the image's; those that are built from source are not there to be read.
        read: tells what is in a wheel.
        project: its folder.
        present: system packages that are in the image anyway.
        plugins: who is asked.
        context: for hooks.
        made: what was found in results of builds and commands (:func:`~cog_nix.elf.folder.scan_fragment`): by
            the name of a wheel that was built from source, or by what else to call its origin in a reason.
        brought: sonames of the interpreter's own libraries.
        gpu: whether the project asks for one.

    Raises:
        LockError: a wheel cannot be read, or an index is broken.
    """
    scans = scans_of(wheels, read, project)
    scans.update(made)
    brought = everywhere(scans).union(brought)
    request = LibraryRequest(
        suite=suite,
        needs=tuple(unmet(scans, {wheel.name: wheel.depends for wheel in wheels}, brought)),
        distributions=tuple(sorted(wheel.name for wheel in wheels)),
        built=tuple(sorted(wheel.name for wheel in wheels if wheel.name not in scans)),
        present=tuple(present),
        gpu=gpu,
    )
    answer: LibraryResolution | None = ask(plugins, "find_libraries", request=request, context=context)
    if answer is None:
        return Answer()
    versions = {wheel.name: wheel.version for wheel in wheels}
    missing = _without_substitute(answer, scans)
    _warn(missing, versions, suite, context.reporter)
    # A file that will not load anyway asks for nothing: GPU back ends of other makers, for one.
    dead = {(need.owner, need.path) for need in missing}
    alive = [each for each in answer.found if (each.need.owner, each.need.path) not in dead]
    return replace(_sum_up(alive, versions), seals=answer.seals)


def scans_of(wheels: Iterable[Wheel], read: Read, project: Path) -> dict[str, Scan]:
    """Return what wheels have and need by name, and the project's own under :data:`PROJECT`.

    Args:
        wheels: those that are built from source are left out.
        read: tells what is in one.
        project: its folder.

    Raises:
        LockError: a wheel cannot be read.
    """
    scans = {wheel.name: read(wheel, depth(wheel)).scan for wheel in wheels if wheel.source is None}
    return {**scans, PROJECT: scan_project(project)}


def depth(wheel: Wheel) -> Depth:
    """Return how much of a wheel has to be read to know what it links to."""
    return Depth.FILES if is_self_contained(wheel.name) else Depth.LINKS


def depths(wheels: Sequence[Wheel], *, gpu: bool) -> dict[str, Depth]:
    """Return how much of each wheel has to be read at all, by name; nothing for what is built from source.

    For a GPU that includes what it opens while it runs, unless it requires self-contained wheels: then it has
    chosen its libraries itself.

    Args:
        wheels: all of the image's.
        gpu: whether the project asks for one.
    """
    depends = {wheel.name: wheel.depends for wheel in wheels}
    found = {wheel.name: depth(wheel) for wheel in wheels if wheel.source is None}
    if gpu:
        chosen = [name for name in found if not any(map(is_self_contained, with_dependencies(name, depends)))]
        found.update(dict.fromkeys(chosen, Depth.TEXT))
    return found


def is_self_contained(name: str) -> bool:
    """Tell whether a wheel is one of NVIDIA's with parts of CUDA, which the image's linker knows."""
    return _SELF_CONTAINED.match(name) is not None


def everywhere(scans: Mapping[str, Scan]) -> frozenset[str]:
    """Return the sonames that the dynamic linker finds for every file (nix/layers/linker.nix)."""
    return frozenset[str]().union(*(scan.names for name, scan in scans.items() if is_self_contained(name)))


def unmet(
    scans: Mapping[str, Scan], depends: Mapping[str, Sequence[str]], brought: Collection[str] = ()
) -> Iterator[LibraryNeed]:
    """Yield what files need that nothing beside them has.

    Args:
        scans: of each wheel by name; the project's under :data:`PROJECT`; results of commands by other names.
        depends: names of the wheels that each wheel requires.
        brought: sonames that are there for everything.
    """
    paths = frozenset(path for name, scan in scans.items() if name != PROJECT for path in scan.libraries)
    names = {name: scan.names for name, scan in scans.items()}
    for owner, scan in sorted(scans.items()):
        # The project, and what commands made for it, may import any package before it loads what is its own.
        around = with_dependencies(owner, depends) if owner in depends else set(scans)
        met = frozenset(brought).union(*(names[each] for each in around if each in names))
        for linked in scan.files:
            for soname in linked.needed:
                if soname not in met and not _reached(linked, soname, paths):
                    yield LibraryNeed(owner, linked.path, soname)


def with_dependencies(name: str, depends: Mapping[str, Sequence[str]]) -> set[str]:
    """Return a package and all that it requires, directly or not."""
    found: set[str] = set()
    pending = [name]
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            pending += depends.get(one, ())
    return found


def _reached(linked: DynamicFile, soname: str, paths: frozenset[str]) -> bool:
    # DT_NEEDED with a slash is a path and is not looked for.
    return "/" in soname or any(path in paths for path in linked.reach(soname))


def _without_substitute(answer: LibraryResolution, scans: Mapping[str, Scan]) -> list[LibraryNeed]:
    """Return the missing needs that nothing stands in for.

    A library of the same name, perhaps of another version, says that the file is one of several variants, or
    that its owner counts on another package being imported first.
    """
    there = {_stem(name) for scan in scans.values() for name in scan.names}
    there |= {_stem(found.need.soname) for found in answer.found}
    return [need for need in answer.missing if _stem(need.soname) not in there]


def _stem(soname: str) -> str:
    return soname.partition(".so")[0]


def _warn(
    missing: Iterable[LibraryNeed], versions: Mapping[str, str], suite: str, reporter: Reporter
) -> None:
    by_owner: dict[str, list[LibraryNeed]] = {}
    for need in missing:
        by_owner.setdefault(need.owner, []).append(need)
    for owner, needs in by_owner.items():
        names = list(dict.fromkeys(need.soname for need in needs))
        parts = "nvidia-cuda-runtime-cu12, nvidia-cublas-cu12"
        cuda = f" CUDA's libraries come with Python packages: {parts} and the like."
        advice = cuda if any(map(_CUDA.match, names)) else ""
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        reporter.warn(
            f"{_titled(owner, versions)} links to {', '.join(names[:_SHOWN])}{more}, which nothing in the "
            f"image and no package of {suite} has: {needs[0].path} will not load.{advice}"
        )


def _titled(owner: str, versions: Mapping[str, str]) -> str:
    if owner == PROJECT:
        return THE_PROJECT
    return f"{owner} {versions[owner]}" if owner in versions else owner


def _sum_up(found: Iterable[FoundLibrary], versions: Mapping[str, str]) -> Answer:
    """Return each package once, with the first file that asks for it."""
    first: dict[str, LibraryNeed] = {}
    for each in sorted(found, key=lambda found: (found.package, found.need.owner, found.need.path)):
        first.setdefault(each.package, each.need)
    return Answer(
        packages=tuple(first),
        reasons=tuple((package, _reason(need, versions)) for package, need in first.items()),
        lines=tuple(
            (package, f"{need.owner or 'the project'} {_verb(need)} {need.soname}")
            for package, need in first.items()
        ),
    )


def _reason(need: LibraryNeed, versions: Mapping[str, str]) -> str:
    title = _titled(need.owner, versions)
    return (
        f"{title}: {need.path} needs {need.soname}" if need.path else f"{title} {_verb(need)} {need.soname}"
    )


def _verb(need: LibraryNeed) -> str:
    if need.path:
        return "links to"
    if need.soname.endswith(".h"):
        return "compiles with"
    return "loads" if ".so" in need.soname else "runs"
