"""Let the dynamic linker find the libraries of wheels that bring parts of CUDA, and the driver.

Spec::

    {"wheels": [store path of a fragment, …], "lower": [store path of a fragment, …], "python": "3.13"}

The fragment has a file in ``/etc/ld.so.conf.d`` that names the folders, so that an ``ldconfig`` in the
container finds them again (NVIDIA's toolkit runs one when it mounts the driver); ``/etc/ld.so.cache`` of the
system below with the libraries added, as that ``ldconfig`` would write it; and ``libcuda.so`` for what links
with ``-lcuda`` at run time (Triton), which points to the driver's library wherever hosts mount it.
"""

from __future__ import annotations

import os
import re
import tarfile
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import archive
import inputs
import unpack
from failure import BuildError
from target import TARGET

from cog_nix.elf import ldcache
from cog_nix.elf.dynamic import read_dynamic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CACHE = ldcache.PATH.lstrip("/")
CONFIGURATION = "etc/ld.so.conf.d/zz-nvidia.conf"
"""Behind Debian's own, which sort by architecture: the system's libraries come first."""

DRIVER = ("/usr/local/nvidia/lib", "/usr/local/nvidia/lib64", "/usr/lib64")
"""Where hosts put the driver's libraries beside /usr/lib/x86_64-linux-gnu, which Debian's own file names:
Google's container platform, and distributions like Red Hat's (CDI mounts files where the host has them)."""

_LOADERS = (
    (ldcache.Library("ld-linux-x86-64.so.2", "/usr/lib64/ld-linux-x86-64.so.2"),)
    if TARGET.architecture == "amd64"
    else ()
)
"""What Debian for linux/amd64 has in one of these."""

_DRIVER_LINKS = (f"usr/lib/{TARGET.triplet}/libcuda.so", "usr/lib64/libcuda.so")
_HEADERS = 64 * 1024
"""Enough of an entry for its headers."""
_LIBRARY = re.compile(
    r"usr/local/lib/python3\.\d+/site-packages/nvidia/[^/]+/lib/(?P<name>lib[^/]*\.so(\.[^/]*)?)"
)
"""Names that ldconfig(8) looks at."""


def libraries(fragment: Path) -> Iterator[ldcache.Library]:
    """Yield the libraries of a fragment as ldconfig would list them, by the names that they declare."""
    with (fragment / "files.tar").open("rb") as tar:
        for start, end, path in archive.read_index(fragment)[1]:
            if found := _LIBRARY.fullmatch(path):
                dynamic = read_dynamic(partial(_Member, tar, start, end), TARGET.elf_machine)
                if dynamic:
                    yield ldcache.Library(dynamic.soname or found["name"], f"/{path}", TARGET.linker_flags)


class _Member:
    """A regular file of a fragment, read forward.

    Args:
        tar: of the fragment.
        start: where its entry begins.
        end: and ends.
    """

    def __init__(self, tar: IO[bytes], start: int, end: int) -> None:
        tar.seek(start)
        size = unpack.parse(tar.read(min(end - start, _HEADERS))).size
        tar.seek(end - -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        self._tar = tar

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes."""
        return self._tar.read(size)

    def skip(self, size: int) -> None:
        """Go forward."""
        self._tar.seek(size, os.SEEK_CUR)


def configuration(found: Iterable[ldcache.Library]) -> str:
    """Return the file that names the folders (ldconfig(8))."""
    folders = sorted({library.path.rpartition("/")[0] for library in found})
    return "".join(f"{folder}\n" for folder in (*DRIVER, *folders))


def extended(cache: bytes, found: Sequence[ldcache.Library]) -> bytes:
    """Return a cache with libraries added; those that it has stay as they are."""
    known = ldcache.read(cache)
    there = {(library.name, library.path) for library in known.libraries}
    # One entry for each name in a folder, as ldconfig has it: links are found under the same name.
    new = {
        (library.name, library.path.rpartition("/")[0]): library
        for library in sorted(found, key=lambda one: (one.path.rpartition("/")[2] == one.name, one.path))
    }
    ordered = sorted(new.values(), key=lambda one: one.path)
    added = [one for one in ordered if (one.name, one.path) not in there]
    return ldcache.write(ldcache.Cache((*known.libraries, *added), known.generator, known.hwcaps))


def entries(wheels: Iterable[Path], lower: Iterable[Path]) -> Iterator[archive.Entry]:
    """Yield what the fragment holds."""
    found = [library for fragment in wheels for library in libraries(fragment)]
    yield from archive.folders("etc/ld.so.conf.d")
    yield archive.Entry(CONFIGURATION, 0o644, data=configuration(found).encode())
    try:
        yield archive.Entry(CACHE, 0o644, data=extended(_cache(lower), [*_LOADERS, *found]))
    except ldcache.NotACacheError as error:
        raise BuildError(f"/{CACHE} of the image cannot be read: {error}") from error
    for link in _DRIVER_LINKS:
        yield from archive.folders(link.rpartition("/")[0])
        yield archive.Entry(link, 0o777, tarfile.SYMTYPE, target="libcuda.so.1")


def _cache(lower: Iterable[Path]) -> bytes:
    """Return the cache that the last of these fragments has which has one."""
    for fragment in reversed(list(lower)):
        for _, _, path in archive.read_index(fragment)[1]:
            if path == CACHE:
                return unpack.view([fragment]).contents(CACHE)
    return ldcache.write(ldcache.Cache())


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    found = entries(map(Path, spec["wheels"]), map(Path, spec["lower"]))
    archive.write_fragment(inputs.output(), found, "linker")
