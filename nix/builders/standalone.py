"""Unpack a relocatable CPython into ``/usr/local``, as Python's own images have it.

Spec::

    {"archive": store path, "python": "3.12", "seed": store path}

``seed`` is where the C library is: the seed, or a tree of the image's own where builders run on another
processor.

Outputs: ``tree``, from which this Python runs inside builds (see :mod:`python_tree`), and ``out``, the same
files as a fragment. The archive is one of python-build-standalone's ``install_only`` kind: a folder
``python`` with ``bin``, ``include``, ``lib`` and ``share``.

Left out, as Python's own slim images leave it out or unusable: the test suite, Tk, IDLE, static libraries,
manual pages. So is the archive's pip, since the lock says which one the image has, and ``libpython`` where
the interpreter does without.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import archive
import foreign
import inputs
import python_tree
import relocate
from failure import BuildError
from target import TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "usr/local"
_TOP = "python"
_SYSTEM = f"usr/lib/{TARGET.triplet}"

_UNWANTED = re.compile(
    r"""
      share/(man|terminfo|doc)(/.*)?          # the terminal database is Debian's
    | bin/(pip|idle|easy_install).*
    | lib/(lib)?(tcl|tk|itcl|tdbc|thread|Tix).*
    | (.*/)?lib[^/]*\.a
    | (.*/)?__pycache__(/.*)?                 # compiled anew, without a clock
    | lib/python[^/]+/
      (
        EXTERNALLY-MANAGED                    # PEP 668: pip install is what this Python is for
      | (test|idlelib|tkinter|turtledemo|turtle\.py)(/.*)?
      | (ctypes|distutils|lib2to3|sqlite3|unittest)/tests?(/.*)?
      | lib-dynload/(_tkinter|_test|_xxtest|_ctypes_test|xxlimited).*
      | site-packages/.*
      )
    """,
    re.VERBOSE,
)
_RARE = ("ensurepip", "lib2to3", "pydoc_data")
"""Parts of the standard library that a model server never imports; they go without bytecode."""


def unpack(path: Path, target: Path) -> None:
    """Unpack the archive's folder ``python`` as ``target``, without what is left out.

    Links that lead outside end the build (``tarfile``'s ``data`` filter, PEP 706).
    """

    def member(info: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
        name = _inside(info.name)
        if name is None or _UNWANTED.fullmatch(name):
            return None
        link = _inside(info.linkname) or info.linkname if info.islnk() else info.linkname
        return tarfile.data_filter(info.replace(name=name or ".", linkname=link, deep=False), folder)

    with foreign.reading(path.name, "archive"), tarfile.open(path) as tar:
        tar.extractall(target, filter=member)  # noqa: S202 - the filter refuses what leads outside


def _inside(name: str) -> str | None:
    parts = PurePosixPath(name).parts
    return "/".join(parts[1:]) if parts and parts[0] == _TOP else None


def complete(root: Path, python: str) -> None:
    """Add the names and folders that every image has; end the build when it is another Python."""
    executable = root / f"bin/python{python}"
    if not executable.is_file():
        raise BuildError(f"the archive has no {_TOP}/bin/python{python}; it is not a Python {python}")
    for name in ("python", "python3"):
        (root / "bin" / name).unlink(missing_ok=True)
        (root / "bin" / name).symlink_to(f"python{python}")
    (root / f"lib/python{python}/site-packages").mkdir(exist_ok=True)


def drop_library(tree: Path, python: str) -> None:
    """Remove ``libpython`` where the interpreter holds all of it.

    It would be a second copy of the whole interpreter, a quarter of a small image. Debian's Python does not
    bring it either.
    """
    executable = tree / f"usr/bin/python{python}"
    modules = sorted((tree / f"usr/lib/python{python}/lib-dynload").glob("*.so"))
    if not any(_needs(tree, path, f"libpython{python}") for path in (executable, *modules)):
        for path in sorted((tree / "usr/lib").glob("libpython*.so*")):
            path.unlink()


def _needs(tree: Path, path: Path, library: str) -> bool:
    """Say whether a program or library is linked to another (ld.so(8), --list)."""
    loader, *options = python_tree.command(tree, "", "")[:3]
    listed = subprocess.run(
        [loader, *options, "--list", str(path)], capture_output=True, text=True, check=False
    )
    return library in listed.stdout


def compile_library(tree: Path, python: str) -> None:
    """Compile the standard library with itself, as files below ``/usr/local``."""
    root = tree / f"usr/lib/python{python}"
    files = [path.relative_to(root) for path in root.rglob("*.py")]
    wanted = [str(path) for path in files if path.parts[0] not in (*_RARE, "site-packages")]
    python_tree.compile_all(tree, python, root, f"/{PREFIX}/lib/python{python}", wanted)


def entries(tree: Path, previous: str) -> Iterator[archive.Entry]:
    """Yield what lands in the image, and the name that upstream's images have their init under.

    Args:
        tree: the unpacked Python.
        previous: the prefix that is compiled into the program. Where there is no PATH, as behind ``env -i``,
            it cannot find out where it is (CPython's Modules/getpath.py) and looks there: a link leads on.
    """
    yield from archive.folders(PREFIX)
    for entry in archive.from_tree(tree / "usr", PREFIX):
        if entry.path != f"{PREFIX}/lib/{Path(_SYSTEM).name}":
            yield entry
    if not previous.startswith("/usr"):
        yield archive.Entry(previous.strip("/"), 0o777, tarfile.SYMTYPE, target=f"/{PREFIX}")
    yield from archive.folders("usr/sbin")
    yield archive.Entry("usr/sbin/tini", 0o777, tarfile.SYMTYPE, target="../bin/tini")


def main(spec: dict[str, Any]) -> None:
    """Build the outputs."""
    tree, python, seed = inputs.output("tree"), spec["python"], Path(spec["seed"])
    tree.mkdir()
    unpack(Path(spec["archive"]), tree / "usr")
    complete(tree / "usr", python)
    previous = relocate.relocate(tree / "usr", f"/{PREFIX}")
    # The C library and the loader are the seed's: the build brings everything else.
    folder = TARGET.loader.partition("/")[0]
    (tree / folder).symlink_to(seed / folder)
    (tree / _SYSTEM).symlink_to(seed / _SYSTEM)
    drop_library(tree, python)
    compile_library(tree, python)
    archive.write_fragment(inputs.output(), entries(tree, previous), "interpreter")
