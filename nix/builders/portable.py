"""Unpack programs and libraries from Debian packages into a folder that works on any Linux.

Runs outside Nix, under any Python from 3.11 on::

    python portable.py SPEC OUT

SPEC is a JSON file: ``{"debs": [path, …], "programs": ["usr/bin/nix", …]}``. Programs go to ``OUT/programs``,
and every shared library of the packages, the dynamic loader among them, to ``OUT/lib``. The result depends on
nothing but those files.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import deb
import failure
import foreign
from target import BUILDER

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Collection

_LIBRARIES = f"usr/lib/{BUILDER.triplet}/"


def make(debs: list[Path], programs: Collection[str], out: Path) -> None:
    """Write the tree to ``out``, which must not exist."""
    for name in ("programs", "lib"):
        (out / name).mkdir(parents=True)
    # What takes the time is undoing xz, which lets go of Python's lock.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda package: _unpack(package, programs, out), debs):
            pass


def _unpack(package: Path, programs: Collection[str], out: Path) -> None:
    with foreign.reading(package.name, "package"):
        for info, tar in deb.data(package):
            name = info.name if info.name.startswith("usr/") else f"usr/{info.name}"
            library = name.removeprefix(_LIBRARIES)
            if library != name and "/" not in library and ".so" in library:
                _extract(info, tar, out / "lib" / library)
            elif name in programs:
                _extract(info, tar, out / "programs" / Path(name).name)


def _extract(info: tarfile.TarInfo, tar: tarfile.TarFile, target: Path) -> None:
    if info.issym():
        target.symlink_to(Path(info.linkname).name)  # they stay in one folder
    elif info.isreg() and not target.is_symlink():
        target.write_bytes(deb.content(info, tar).read())
        target.chmod(0o755 if info.mode & 0o100 else 0o644)


def main() -> None:
    """Read the command line."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    make([Path(path) for path in spec["debs"]], set(spec["programs"]), Path(sys.argv[2]))


if __name__ == "__main__":
    with failure.shown():
        main()
