"""Make the seed: the Python tree that runs every other builder.

Runs outside Nix, under any Python from 3.11 on::

    python seed.py SPEC OUT

SPEC is a JSON file: ``{"python": "3.13", "debs": [path, …], "wheels": [path, …], "sandbox": path}``. The
wheels' packages go to ``OUT/site``. The result depends on nothing but those files.

The packages are as good as the lock that names them, so their Python runs in ``sandbox``
(``runs/sandbox.py``), sees nothing of the machine, and only bytecode of files that are there is taken.
Without one (``""``: a lock is made where namespaces are forbidden and no container can be had) it runs as the
user who asks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import failure
import foreign
import python_tree
from target import BUILDER

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache")
"""Where this machine's Python has what it needs to run."""
_STORE = "/nix/store"
"""The same on NixOS."""


def make(python: str, debs: list[Path], wheels: list[Path], out: Path, sandbox: str) -> None:
    """Write the seed's tree to ``out``, which must not exist."""
    python_tree.unpack(debs, out, BUILDER)
    for wheel in wheels:
        with foreign.reading(wheel.name, "wheel"), zipfile.ZipFile(wheel) as archive:
            archive.extractall(out / "site")
    for path in out.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    roots = (f"usr/lib/python{python}", "site")
    if sandbox:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix="compile-") as folder:
            _compile_confined(python, out, roots, Path(folder), sandbox)
        return
    script = str(Path(__file__).with_name("seed_bytecode.py"))
    command = python_tree.command(out, python, "-s", "-B", "-S", script, str(out))
    subprocess.run(command, input=_listed(out, roots), env=python_tree.COMPILING, check=True)


def _listed(tree: Path, roots: tuple[str, ...]) -> bytes:
    """Return what :mod:`seed_bytecode` reads: all modules, in groups."""
    groups = [
        [f"{root}\t{name}" for name in group]
        for root in roots
        for group in python_tree.groups(
            str(path.relative_to(tree / root)) for path in (tree / root).rglob("*.py")
        )
    ]
    return "\n\n".join(map("\n".join, groups)).encode()


def _compile_confined(python: str, out: Path, roots: tuple[str, ...], folder: Path, sandbox: str) -> None:
    """Compile the modules where nothing else is in reach; take their bytecode."""
    folder = folder.resolve()
    folder.chmod(0o711)  # root's sandbox is another user
    for part in ("root", "build", "out"):
        (folder / part).mkdir()
    python_here = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    system = [*_SYSTEM, sys.base_prefix, sys.base_exec_prefix]
    if os.path.realpath("/bin/sh").startswith(_STORE):
        system.append(_STORE)
    told = {
        "shown": {
            **{path: path for path in system if os.path.lexists(path)},
            "/tree": str(out),
            "/builders": str(Path(__file__).parent),
        },
        "folder": str(folder),
        "command": [python_here, "-I", "-B", "/builders/seed_call.py", python],
        "environment": {},
        "network": False,
    }
    command = [sys.executable, "-I", sandbox, json.dumps(told)]
    subprocess.run(command, input=_listed(out, roots), check=True)
    for root in roots:
        for path in list((out / root).rglob("*.py")):
            name = path.relative_to(out).with_name(f"{path.stem}.cpython-{python.replace('.', '')}.pyc")
            _take(folder / "build/made/tree" / name, path.parent / "__pycache__")


def _take(made: Path, folder: Path) -> None:
    """Move a file that was made in the sandbox to a folder, as one of ours."""
    # A link would be one to a file of this machine.
    if made.resolve() == made and made.is_file():
        folder.mkdir(exist_ok=True)
        os.chown(made, os.geteuid(), os.getegid())
        made.chmod(0o644)
        made.rename(folder / made.name)


def main() -> None:
    """Read the command line."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    debs, wheels = ([Path(path) for path in spec[kind]] for kind in ("debs", "wheels"))
    make(spec["python"], debs, wheels, Path(sys.argv[2]), spec["sandbox"])


if __name__ == "__main__":
    with failure.shown():
        main()
