"""Files that wheels have twice: which become links to the first, decided from the wheels' RECORDs alone.

Wheels cannot hold links (PyPA binary distribution format), so a library with three names is in them three
times, and two wheels that ship the same library have it both. See docs/design/cuda.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.elf.facts import SMALLEST
from cog_nix.elf.scan import is_library
from cog_nix.resolve.needs import depth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cog_nix.elf.facts import LargeFile
    from cog_nix.lock.model import Wheel
    from cog_nix.plugins.spec import GpuLibraries
    from cog_nix.resolve.needs import Read

__all__ = ["SMALLEST", "Links", "find"]

_SMALLEST_WHEEL = 1 << 16

Links = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""By wheel: ``(path, path of the same content)``, both below ``site-packages``."""


@dataclass(frozen=True)
class _File:
    wheel: str
    path: str
    content: tuple[str, int]
    """Hash with what else has to agree, and size."""


def find(wheels: Sequence[Wheel], read: Read, own: GpuLibraries, order: Sequence[str]) -> Links:
    """Return the links to make.

    Args:
        wheels: all of the image's; those that are built from source are not there to be read.
        read: tells what is in one.
        own: the libraries of GPUs' makers.
        order: names of wheels from the lowest layer to the topmost: the lowest keeps its file.

    Raises:
        LockError: a wheel cannot be read.
    """
    position = {name: number for number, name in enumerate(order)}
    large = [wheel for wheel in wheels if wheel.source is None and wheel.artifact.size >= _SMALLEST_WHEEL]
    found = [file for wheel in large for file in _files(wheel.name, read(wheel, depth(wheel, own)).large)]
    # The longest name of a library is the file that its other names stand for (ldconfig(8)).
    found.sort(key=lambda file: (position[file.wheel], -len(file.path), file.path))
    first: dict[tuple[str, int], _File] = {}
    links: dict[str, list[tuple[str, str]]] = {}
    for file in found:
        kept = first.setdefault(file.content, file)
        if kept is not file:
            links.setdefault(file.wheel, []).append((file.path, kept.path))
    return tuple((name, tuple(sorted(pairs))) for name, pairs in sorted(links.items()))


def _files(name: str, large: Iterable[LargeFile]) -> Iterator[_File]:
    for one in large:
        # The kernel resolves a program's link before the loader asks where it is ($ORIGIN, ld.so(8)).
        is_program = one.program and not is_library(one.path)
        folder = one.path.rpartition("/")[0] if is_program else ""
        yield _File(name, one.path, (f"{one.digest} {one.program} {folder}", one.size))
