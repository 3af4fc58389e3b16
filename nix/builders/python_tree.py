"""A Python that runs from anywhere: started through its own dynamic loader, host libraries never seen."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import deb
import foreign
from target import BUILDER, TARGET, Target

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterable, Sequence

_CHUNKS = 8
"""Bytecode is compiled in this many processes; fixed, so the partition never depends on the machine."""
COMPILING = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
"""The environment of such a process."""


def command(tree: Path, minor: str, *arguments: str) -> list[str]:
    """Return the command line that runs the tree's Python ``minor`` (``3.13``).

    It is the image's own, or the seed, which is for what builders run on.
    """
    of = TARGET if (tree / TARGET.loader).exists() else BUILDER
    return [
        str(tree / of.loader),
        "--library-path",
        str(tree / f"usr/lib/{of.triplet}"),
        str(tree / f"usr/bin/python{minor}"),
        *arguments,
    ]


def unpack(packages: Iterable[Path], tree: Path, of: Target = TARGET) -> None:
    """Unpack what a Python needs to run from Debian packages into ``tree``; they are for the platform ``of``.

    Only libraries, the loader, the interpreter and its standard library are kept. The layout is merged-/usr
    whatever the packages say, and links that point to absolute paths are made relative to the tree.
    """
    tree.mkdir(parents=True)
    tree = tree.resolve()
    (tree / "usr/lib64").mkdir(parents=True)
    for name in ("lib", "lib64", "bin"):
        (tree / name).symlink_to(f"usr/{name}")

    def extract(package: Path) -> None:
        with foreign.reading(package.name, "package"):
            for info, tar in deb.data(package):
                _extract(info, tar, tree, of)

    # No two packages bring the same file, and undoing xz is what takes the time: the largest one first.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(extract, sorted(packages, key=lambda package: -package.stat().st_size)))


def _extract(info: tarfile.TarInfo, tar: tarfile.TarFile, tree: Path, of: Target) -> None:
    name = info.name if info.name.startswith("usr/") else f"usr/{info.name}"
    if not _wanted(name, of):
        return
    target = tree / name
    # This also runs where nothing confines it, when the seed is made: nothing is written through a link out.
    if not target.parent.resolve().is_relative_to(tree):
        raise ValueError(f"{info.name!r} leads out of it")
    target.parent.mkdir(parents=True, exist_ok=True)
    if info.issym():
        link = info.linkname
        if link.startswith("/"):
            link = os.path.relpath(tree / link.lstrip("/"), target.parent)
        if not (target.parent / link).resolve().is_relative_to(tree):
            raise ValueError(f"the link {info.name!r} leads out of it")
        if not target.is_symlink():
            target.symlink_to(link)
    elif info.isreg():
        if target.is_symlink():
            raise ValueError(f"{info.name!r} is in there twice")
        target.write_bytes(deb.content(info, tar).read())
        target.chmod(0o755 if info.mode & 0o100 else 0o644)


_UNUSED_MODULES = frozenset(
    """
    _pyrepl asyncio curses dbm distutils ensurepip html http idlelib lib2to3 multiprocessing pydoc_data
    sqlite3 test tkinter turtledemo unittest venv wsgiref xml xmlrpc sitecustomize.py turtle.py pydoc.py
    doctest.py pdb.py pickletools.py _pyio.py _pydatetime.py _pydecimal.py
    """.split()  # noqa: SIM905 - a list of words to read
)
"""Parts of the standard library that no builder imports. (sitecustomize.py is a link into /etc.)"""

_UNUSED_LIBRARIES = (
    "libdb",
    "libsqlite3",
    "libncurses",
    "libform",
    "libmenu",
    "libpanel",
    "libreadline",
    "libtic",
    "libhistory",
    "libtinfo",
    "libuuid",
    "libnss",
    "libnsl",
    "libmvec",
    "libBroken",
    "libanl",
    "libmemusage",
    "libpcprofile",
    "libthread_db",
    "libc_malloc",
)
_UNUSED_EXTENSIONS = (
    "_codecs_",
    "_test",
    "_xxtest",
    "_ctypes_test",
    "_sqlite3",
    "_dbm",
    "_curses",
    "readline",
    "_asyncio",
    "_multiprocessing",
    "_uuid",
    "_tkinter",
    "nis",
)


def _wanted(name: str, of: Target = TARGET) -> bool:
    if name.startswith(("usr/bin/python3", "usr/lib64/")) or name == f"usr/{of.loader}":
        return True
    if name.startswith("usr/lib/python3"):
        inside = name.split("/")[3:] or [""]
        extension = inside[0] == "lib-dynload" and inside[-1].startswith(_UNUSED_EXTENSIONS)
        return not extension and inside[0] not in _UNUSED_MODULES
    library = name.removeprefix(f"usr/lib/{of.triplet}/")
    return library != name and "/" not in library and not library.startswith(_UNUSED_LIBRARIES)


def compile_all(tree: Path, minor: str, root: Path, prefix: str, files: Sequence[str]) -> None:
    """Compile ``files`` (relative to ``root``) with the tree's Python; ``prefix`` is where they will be.

    Files that do not compile are left as they are.
    """
    script = Path(__file__).with_name("bytecode.py")

    def run(chunk: Sequence[str]) -> None:
        subprocess.run(
            command(tree, minor, "-s", "-B", "-S", str(script), str(root), prefix),
            input="\n".join(chunk).encode(),
            env=COMPILING,
            check=True,
        )

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(run, groups(files)))


def groups(files: Iterable[str]) -> list[list[str]]:
    """Divide modules among the processes that compile them.

    By their names alone, for it may show in the bytecode what a process has compiled before.
    """
    ordered = sorted(files)
    if len(ordered) <= 4 * _CHUNKS:
        return [ordered] if ordered else []
    return [ordered[start::_CHUNKS] for start in range(_CHUNKS)]
