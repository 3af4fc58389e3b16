"""Lay a compiler for GPUs out at ``/usr/local/cuda``, as NVIDIA's installer does: for builds, not images.

Spec::

    {"debs": [store path, …], "wheels": [{"name": …, "version": …, "path": store path}, …],
     "libraries": [store path of a wheel, …], "python": "3.13", "host_compiler": "13"}

``debs`` and ``wheels`` are what it is made of. ``libraries`` are wheels of the project: their headers and
libraries are linked to where they are installed, so that there is one of each. The output is a fragment.

``bin/nvcc`` is a script that calls the compiler in such a way that the same source gives the same bits
(:data:`NVCC`). ``host_compiler`` is the version of GCC that stands as ``gcc`` and ``g++`` beside it.
"""

from __future__ import annotations

import re
import struct
import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import archive
import deb
import foreign
import inputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HOME = "usr/local/cuda"

NVCC = """\
#!/bin/sh
# nvcc names its intermediate files after its process, and some of these names stay in what it makes. Here
# they are named after the object, or else after the command: the same source gives the same bits.
nvcc=/usr/local/cuda/bin/nvcc.real
if [ ! -e /usr/local/cuda/lib64/libcudart_static.a ]; then
  # This release's runtime is to be had as a shared library only.
  case " $* " in
    *" -cudart"* | *" --cudart"*) ;;
    *) set -- -cudart shared "$@" ;;
  esac
fi
for word; do
  case $word in
    -c | --compile | -dc | --device-c | -dw | --device-w) exec "$nvcc" -objtemp "$@" ;;
    -keep* | --keep* | -save-temps* | --save-temps*) exec "$nvcc" "$@" ;;
    -dryrun | --dryrun | -V | --version | -h | --help) exec "$nvcc" "$@" ;;
  esac
done
folder=${TMPDIR:-/tmp}/nvcc-$(printf '%s\\n' "$PWD" "$@" | sha256sum | cut -c -16)
mkdir "$folder" 2>/dev/null || exec "$nvcc" "$@" # the same is running already
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
"$nvcc" --keep --keep-dir "$folder" "$@"
"""

PROFILE = """\
TOP = $(_HERE_)/..
CICC_PATH = $(TOP)/nvvm/bin
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
LD_LIBRARY_PATH += $(TOP)/lib64:
PATH += $(TOP)/nvvm/bin:$(_HERE_):
INCLUDES += "-I$(TOP)/include" $(_SPACE_)
SYSTEM_INCLUDES += "-isystem" "$(TOP)/include/cccl" $(_SPACE_)
LIBRARIES =+ $(_SPACE_) "-L$(TOP)/lib64/stubs" "-L$(TOP)/lib64"
"""
"""What nvcc reads where it is: the places of everything else (CUDA Compiler Driver NVCC, "nvcc.profile")."""

_HOST_NAMES = {
    "gcc": ("cc", "gcc", "x86_64-linux-gnu-gcc"),
    "g++": ("c++", "g++", "x86_64-linux-gnu-g++"),
}
"""What build systems call; Debian's Python names its compiler with the prefix."""

_IN_DEBS = (
    (re.compile(r"usr/lib/nvidia-cuda-toolkit/bin/nvcc"), "bin/nvcc.real"),
    (re.compile(r"usr/lib/nvidia-cuda-toolkit/bin/cicc"), "nvvm/bin/cicc"),
    (re.compile(r"usr/lib/nvidia-cuda-toolkit/bin/(crt/.+)"), r"bin/\1"),
    (re.compile(r"usr/lib/nvidia-cuda-toolkit/(libdevice/.+)"), r"nvvm/\1"),
    (re.compile(r"usr/bin/(?!nvcc$)(.+)"), r"bin/\1"),
    # The driver's library, to link to; programs find the real one where they run.
    (re.compile(r"usr/lib/x86_64-linux-gnu/(?:.+/)?libcuda\.so\.\d+\..+"), "lib64/stubs/libcuda.so"),
)
"""Where files of Debian's packages go; others are left out."""

_IN_WHEELS = re.compile(r"nvidia/[^/]+/(?P<kind>bin|include|lib|lib64|nvvm)/(?P<rest>.+)")
_STATIC = ("libcudart_static.a", "libculibos.a")
"""All that is taken of a runtime that is newer than the compiler: it is linked in, and older ones are not to
be had. Its device code (``libcudadevrt.a``) is refused by the linker of an older compiler."""

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_MATH = "include/crt/math_functions.h"
_DECLARED = re.compile(
    rb"(__device_builtin__\s+(?:double|float)\s+(?:sinpi|cospi|rsqrt)(f?)\((?:double|float) x\));"
)
_EXCEPTIONS = b"""\
#include <features.h>
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 41)
#define COG_NIX_PI_FUNCTIONS __THROW
#else
#define COG_NIX_PI_FUNCTIONS
#endif
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 42)
#define COG_NIX_RSQRT __THROW
#else
#define COG_NIX_RSQRT
#endif
"""

_Files = dict[str, archive.Entry]
"""Members of the toolkit by path below :data:`HOME`."""


def from_deb(path: Path, scratch: Path) -> Iterator[tuple[str, archive.Entry]]:
    """Yield the files of a Debian package that belong to the toolkit, unpacked into ``scratch``."""
    for info, tar in deb.data(path):
        target = place(info.name)
        if target is None or not info.isreg():
            continue
        file = scratch / target
        file.parent.mkdir(parents=True, exist_ok=True)
        with foreign.reading(path.name, "package"):
            file.write_bytes(deb.content(info, tar).read())
        yield target, archive.Entry(f"{HOME}/{target}", info.mode & 0o755, source=file)


def place(name: str) -> str | None:
    """Return where a file of Debian's packages goes below the toolkit's folder; None: nowhere."""
    for pattern, target in _IN_DEBS:
        if found := pattern.fullmatch(name):
            return found.expand(target)
    return None


def from_wheel(path: Path, scratch: Path) -> Iterator[tuple[str, archive.Entry]]:
    """Yield the files of a distribution of NVIDIA's, unpacked into ``scratch``."""
    with foreign.reading(path.name, "wheel"), zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            target = _in_toolkit(foreign.checked(info.filename))
            if info.is_dir() or target is None:
                continue
            file = scratch / path.name / target
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(opened.read(info))
            mode = 0o755 if target.startswith(("bin/", "nvvm/bin/")) else 0o644
            yield target, archive.Entry(f"{HOME}/{target}", mode, source=file)


def _in_toolkit(member: str) -> str | None:
    found = _IN_WHEELS.fullmatch(member)
    if not found or member.endswith("/__init__.py"):
        return None
    kind = "lib64" if found["kind"] == "lib" else found["kind"]
    target = f"{kind}/{found['rest']}"
    return {"bin/nvcc": "bin/nvcc.real", "bin/nvcc.profile": None}.get(target, target)


def links(path: Path, site: str) -> Iterator[tuple[str, archive.Entry]]:
    """Yield links to the headers and libraries of a distribution of the project.

    Args:
        path: the wheel.
        site: where distributions are installed, with a leading slash.
    """
    with foreign.reading(path.name, "wheel"), zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            target = None if info.is_dir() else _in_toolkit(info.filename)
            if target and target.startswith(("include/", "lib64/")):
                yield target, _link(target, f"{site}/{info.filename}")


def unversioned(files: Iterable[str]) -> Iterator[tuple[str, archive.Entry]]:
    """Yield ``libcublas.so`` for ``libcublas.so.12``: the name that a linker looks for."""
    for target in files:
        path = PurePosixPath(target)
        stem, dot, version = path.name.partition(".so.")
        if str(path.parent) == "lib64" and dot and version:
            yield f"lib64/{stem}.so", _link(f"lib64/{stem}.so", path.name)


def host_compilers(version: str) -> Iterator[tuple[str, archive.Entry]]:
    """Yield links to the GCC that nvcc works with; none when the system's own does."""
    for compiler, names in _HOST_NAMES.items():
        for name in names if version else ():
            yield f"bin/{name}", _link(f"bin/{name}", f"/usr/bin/{compiler}-{version}")


def _link(target: str, to: str) -> archive.Entry:
    return archive.Entry(f"{HOME}/{target}", 0o777, tarfile.SYMTYPE, target=to)


def with_exceptions(header: bytes) -> bytes:
    """Return ``crt/math_functions.h`` for a glibc that declares the same functions.

    glibc has ``sinpi`` and ``cospi`` since 2.41 and ``rsqrt`` since 2.42 (ISO C23, F.10), as functions that
    throw nothing, so a compiler refuses NVIDIA's declarations that do not say so. CUDA 13 says it itself.
    """

    def replaced(found: re.Match[bytes]) -> bytes:
        macro = b"COG_NIX_RSQRT" if b"rsqrt" in found[1] else b"COG_NIX_PI_FUNCTIONS"
        return found[1] + b" " + macro + b";"

    changed = _DECLARED.sub(replaced, header)
    return header if changed == header else _EXCEPTIONS + changed


def no_device_runtime() -> bytes:
    """Return an archive (ar(5)) of an object without code (elf(5)).

    It stands for ``libcudadevrt.a``, which nvcc links to whether or not kernels start other kernels. The
    host's linker wants an index of symbols in it, and nvlink an object.
    """
    names = b"\0.shstrtab\0"
    padded = names.ljust(16, b"\0")
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = _HEADER.pack(ident, 1, 62, 1, 0, 0, 64 + len(padded), 0, 64, 0, 0, 64, 2, 1)
    section = _SECTION.pack(1, 3, 0, 0, 64, len(names), 0, 0, 1, 0)
    element = header + padded + bytes(_SECTION.size) + section
    return b"!<arch>\n" + _member("/", bytes(4)) + _member("empty.o/", element)


def _member(name: str, data: bytes) -> bytes:
    fields = f"{name:16}{0:<12}{0:<6}{0:<6}{644:<8}{len(data):<10}`\n"
    return fields.encode() + data + b"\n" * (len(data) % 2)


def newest(wheels: Sequence[dict[str, Any]]) -> set[str]:
    """Return the paths of wheels whose distribution is there in an older version as well."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for wheel in wheels:
        by_name.setdefault(wheel["name"], []).append(wheel)
    return {
        wheel["path"]
        for group in by_name.values()
        for wheel in sorted(group, key=lambda one: [int(part) for part in one["version"].split(".")[:3]])[1:]
    }


def collect(spec: dict[str, Any], scratch: Path) -> _Files:
    """Return everything that the toolkit has; of two files with one name the first is taken."""
    files: _Files = {}

    def take(found: Iterable[tuple[str, archive.Entry]]) -> None:
        for target, entry in found:
            files.setdefault(target, entry)

    for path in spec["debs"]:
        take(from_deb(Path(path), scratch / "debs"))
    newer = newest(spec["wheels"])
    for wheel in spec["wheels"]:
        found = from_wheel(Path(wheel["path"]), scratch / "wheels")
        if wheel["path"] in newer:
            take(pair for pair in found if PurePosixPath(pair[0]).name in _STATIC)
        else:
            take(found)
    for path in spec["libraries"]:
        take(links(Path(path), f"/usr/local/lib/python{spec['python']}/site-packages"))
    take(list(unversioned(sorted(files))))
    take(host_compilers(spec["host_compiler"]))
    take([("lib", _link("lib", "lib64"))])
    for target, mode, data in (
        ("bin/nvcc", 0o755, NVCC.encode()),
        ("bin/nvcc.profile", 0o644, PROFILE.encode()),
        ("lib64/libcudadevrt.a", 0o644, no_device_runtime()),
    ):
        take([(target, archive.Entry(f"{HOME}/{target}", mode, data=data))])
    if (header := files.get(_MATH)) and header.source:
        header.source.write_bytes(with_exceptions(header.source.read_bytes()))
    return files


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    files = collect(spec, inputs.scratch())
    above = {str(PurePosixPath(entry.path).parent) for entry in files.values()}
    folders = [folder for path in sorted(above) for folder in archive.folders(path)]
    archive.write_fragment(inputs.output(), [*folders, *files.values()], "toolkit")
