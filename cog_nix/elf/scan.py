"""What a set of files has and needs, as values."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cog_nix.elf.dynamic import Dynamic

_LIBRARY = re.compile(r"\.so(\.|$)")
_NO_PROGRAM = re.compile(
    r"\.(py|pyc|pyi|pyx|pxd|sh|c|cc|cpp|cu|cuh|h|hpp|js|json|txt|md|html|css|yaml|yml|toml|png|jpe?g|svg|gif|"
    r"ipynb|pt|pth|onnx|safetensors|bin|npy|npz|zip|gz|xz|tar|whl|wav|mp3|mp4|csv|parquet)$",
    re.IGNORECASE,
)
_MUSL = "libc.musl"


@dataclass(frozen=True)
class DynamicFile:
    """A program or library that the loader has to complete."""

    path: str
    """Where it lies; for a wheel below ``site-packages``, for a layer below ``/``."""
    needed: tuple[str, ...]
    """Sonames."""
    search: tuple[str, ...] = ()
    """Folders of its run path, with ``$ORIGIN`` as it stands there."""

    def reach(self, soname: str) -> Iterable[str]:
        """Yield the paths, in the terms of ``path``, at which the run path looks for a soname."""
        for folder in self.search:
            origin = folder.replace("${ORIGIN}", "$ORIGIN").partition("$ORIGIN")
            if origin[1] and not origin[0]:
                yield posixpath.normpath(f"{posixpath.dirname(self.path) or '.'}{origin[2]}/{soname}")
            elif folder.startswith("/"):
                yield posixpath.normpath(f"{folder}/{soname}").lstrip("/")


@dataclass(frozen=True)
class Scan:
    """The programs and libraries of a wheel, a project or a layer."""

    files: tuple[DynamicFile, ...] = ()
    """Those that need something, by path."""
    libraries: tuple[str, ...] = ()
    """Paths of all libraries, and of nothing else, sorted."""
    sonames: tuple[str, ...] = ()
    """Names that libraries go by and their files do not have, sorted."""

    @property
    def names(self) -> frozenset[str]:
        """Every name that these libraries can be asked for by."""
        return frozenset({path.rpartition("/")[2] for path in self.libraries} | set(self.sonames))


def is_library(path: str) -> bool:
    """Tell by its name whether a file is a shared library."""
    return _LIBRARY.search(path.rpartition("/")[2]) is not None


def may_be_elf(path: str, *, executable: bool) -> bool:
    """Tell by its name and mode whether a file is worth opening.

    Programs have no dot in their name, or the executable bit: all that pip makes of entry points, and what
    tools are shipped as. Nothing is opened whose suffix says what it is.
    """
    name = path.rpartition("/")[2]
    return is_library(path) or (not _NO_PROGRAM.search(name) and (executable or "." not in name))


def gather(found: Iterable[tuple[str, Dynamic | None]], also: Iterable[str] = ()) -> Scan:
    """Return the scan of files.

    Args:
        found: path and dynamic section of each file that was read; None for what the loader does not load.
        also: paths of libraries that are known without being read (links to others).
    """
    files, libraries, sonames = [], set(also), set()
    for path, dynamic in found:
        if dynamic is None or any(name.startswith(_MUSL) for name in dynamic.needed):
            continue  # made for another machine or another C library: never loaded here
        if dynamic.needed:
            files.append(DynamicFile(path, dynamic.needed, dynamic.search))
        if is_library(path):
            libraries.add(path)
        if dynamic.soname and dynamic.soname != path.rpartition("/")[2]:
            sonames.add(dynamic.soname)
    return Scan(
        tuple(sorted(files, key=lambda each: each.path)), tuple(sorted(libraries)), tuple(sorted(sonames))
    )
