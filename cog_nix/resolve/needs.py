"""What files of an image link to that nothing around them has.

A need of a file in a wheel is met by the wheel itself, by a wheel that it depends on (imported before it), or
by whatever its run path reaches. See docs/design/libraries.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.elf.facts import Depth
from cog_nix.elf.folder import scan_project
from cog_nix.lock.dependencies import with_dependencies
from cog_nix.plugins.spec import LibraryNeed
from cog_nix.system.platforms import AMD64, Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.elf.facts import Facts
    from cog_nix.elf.scan import DynamicFile, Scan
    from cog_nix.lock.model import Wheel
    from cog_nix.plugins.spec import GpuLibraries

    Read = Callable[[Wheel, Depth], Facts]
    """Returns what a wheel says of itself; asked for the same wheel more than once.

    Raises:
        LockError: the wheel cannot be read.
    """

Owner = str | int
"""Whose a file is: a Python package's by name, a command's result by the command's number from 1."""
PROJECT = ""
"""The owner of the project's own files."""


def scans_of(
    wheels: Iterable[Wheel], read: Read, project: Path, own: GpuLibraries, platform: Platform = AMD64
) -> dict[Owner, Scan]:
    """Return what wheels have and need by name, and the project's own under :data:`PROJECT`.

    Args:
        wheels: those that are built from source are left out.
        read: tells what is in one.
        project: its folder.
        own: of those only the names are read.
        platform: whose programs and libraries count in the project.

    Raises:
        LockError: a wheel cannot be read.
    """
    scans: dict[Owner, Scan] = {
        wheel.name: read(wheel, depth(wheel, own)).scan for wheel in wheels if wheel.source is None
    }
    return {**scans, PROJECT: scan_project(project, platform.elf_machine)}


def depth(wheel: Wheel, own: GpuLibraries) -> Depth:
    """Return how much of a wheel has to be read to know what it links to.

    The makers' own distributions of GPU libraries are 4 GB to inflate; beyond each other, the C library and
    the driver they link only to what network cards bring.
    """
    return Depth.FILES if own.include(wheel.name) else Depth.LINKS


def depths(wheels: Sequence[Wheel], own: GpuLibraries, *, gpu: bool) -> dict[str, Depth]:
    """Return how much of each wheel has to be read at all, by name; nothing for what is built from source.

    For a GPU that includes what it opens while it runs, unless it requires the makers' own distributions or a
    framework that brings its own: then the libraries are chosen, and reading it to its end tells nothing.

    Args:
        wheels: all of the image's.
        own: the libraries of GPUs' makers.
        gpu: whether the project asks for one.
    """
    depends = {wheel.name: wheel.depends for wheel in wheels}
    found = {wheel.name: depth(wheel, own) for wheel in wheels if wheel.source is None}
    if gpu:
        chosen = [
            name for name in found if not any(map(own.are_chosen_by, with_dependencies([name], depends)))
        ]
        found.update(dict.fromkeys(chosen, Depth.TEXT))
    return found


def known_to_linker(scans: Mapping[Owner, Scan], own: GpuLibraries) -> frozenset[str]:
    """Return the sonames that the dynamic linker finds for every file (nix/layers/linker.nix)."""
    found = (scan.names for name, scan in scans.items() if isinstance(name, str) and own.include(name))
    return frozenset[str]().union(*found)


def unmet(
    scans: Mapping[Owner, Scan], depends: Mapping[str, Sequence[str]], provided: Collection[str] = ()
) -> Iterator[LibraryNeed]:
    """Yield what files need that nothing beside them has.

    Args:
        scans: by owner.
        depends: names of the wheels that each wheel requires.
        provided: sonames that are there for everything.
    """
    paths = frozenset(path for name, scan in scans.items() if name != PROJECT for path in scan.libraries)
    names = {name: scan.names for name, scan in scans.items()}
    for owner, scan in sorted(scans.items(), key=lambda pair: str(pair[0])):
        # The project, and what commands made for it, may import any package before it loads what is its own.
        is_wheel = isinstance(owner, str) and owner in depends
        around = with_dependencies([str(owner)], depends) if is_wheel else set(scans)
        met = frozenset(provided).union(*(names[each] for each in around if each in names))
        package, command = (owner, 0) if isinstance(owner, str) else ("", owner)
        for file in scan.files:
            for soname in file.needed:
                if soname not in met and not _reached(file, soname, paths):
                    yield LibraryNeed(package, file.path, soname, command)


def _reached(file: DynamicFile, soname: str, paths: frozenset[str]) -> bool:
    # DT_NEEDED with a slash is a path and is not looked for.
    return "/" in soname or any(path in paths for path in file.reach(soname))
