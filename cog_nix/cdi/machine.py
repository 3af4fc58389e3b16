"""NVIDIA's GPUs and driver as this machine shows them, where no specification describes them.

What is found is what ``nvidia-ctk cdi generate`` finds: the device files, and all libraries that carry the
driver's version, beside ``libcuda.so.1``.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.cdi import linker
from cog_nix.elf.folder import read_file
from cog_nix.system.platforms import BUILDER

if TYPE_CHECKING:
    from collections.abc import Iterator

CUDA = "libcuda.so.1"
_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
_FOLDERS_OF_NODES = ("nvidia-caps", "nvidia-caps-imex-channels")
"""Access to parts of GPUs (MIG), and to memory of other machines (IMEX)."""
_LIBRARY_FOLDERS = (
    *(f"usr/lib/{BUILDER.triplet}", "usr/lib64", "usr/lib", "usr/lib/wsl/lib"),
    *("run/opengl-driver/lib", "usr/local/nvidia/lib64"),
)
"""Where libcuda.so.1 is when the linker's cache does not say: Debian and Ubuntu, Fedora and SUSE, Arch,
Windows' subsystem, NixOS, containers of older runtimes."""
_PROGRAMS = (
    *("nvidia-smi", "nvidia-debugdump", "nvidia-persistenced", "nvidia-cuda-mps-control"),
    *("nvidia-cuda-mps-server",),
)
_PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/local/bin", "run/current-system/sw/bin", "usr/lib/wsl/lib")
_MINOR = re.compile(r"[0-9]{1,9}")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_UNVERSIONED = re.compile(
    r"lib(?:cuda|cudadebugger|nvcuvid|nvoptix|dxcore|nvidia-(?:ml|ptxjitcompiler|nvvm|gpucomp|encode|opencl"
    r"|opticalflow|allocator|fbc|cfg|pkcs11|pkcs11-openssl3|sandboxutils))\.so\.[0-9]+"
)
"""Sonames of the driver, for installations whose files do not carry its version."""


@dataclass(frozen=True)
class Gpu:
    """One GPU."""

    index: int
    """As nvidia-smi counts: in the order of PCI addresses."""
    node: str
    """``/dev/nvidia0``."""
    uuid: str = ""
    """``GPU-…``; "": the driver does not say."""


@dataclass(frozen=True)
class Library:
    """A library of the driver."""

    path: Path
    """The file itself, no link."""
    soname: str


class Machine:
    """What is below a root folder.

    Args:
        root: of the file system; another one for a driver that lives in a container, and for tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    @cached_property
    def gpus(self) -> tuple[Gpu, ...]:
        """The GPUs whose device files are here."""
        nodes = {
            int(path.name.removeprefix("nvidia")): f"/dev/{path.name}"
            for path in self._glob("dev", "nvidia[0-9]*")
            if path.name.removeprefix("nvidia").isdecimal() and _is_node(path)
        }
        told = [_information(path / "information") for path in self._glob("proc/driver/nvidia/gpus", "*")]
        listed = [
            (int(one["Device Minor"]), one.get("GPU UUID", ""))
            for one in told
            if _MINOR.fullmatch(one.get("Device Minor", ""))
        ]
        if not listed:
            listed = [(minor, "") for minor in sorted(nodes)]
        return tuple(
            Gpu(index, nodes[minor], uuid) for index, (minor, uuid) in enumerate(listed) if minor in nodes
        )

    @cached_property
    def control_nodes(self) -> tuple[str, ...]:
        """The device files that every container with a GPU needs."""
        paths = [self.root / "dev" / name for name in _CONTROL]
        paths += [path for folder in _FOLDERS_OF_NODES for path in self._glob(f"dev/{folder}", "*")]
        return tuple(f"/{path.relative_to(self.root)}" for path in paths if _is_node(path))

    @property
    def windows(self) -> bool:
        """Whether this is Windows' subsystem for Linux, where one device file stands for all GPUs."""
        return _is_node(self.root / "dev/dxg")

    @cached_property
    def library_folder(self) -> Path | None:
        """Where the driver's libraries are; None: there are none."""
        try:
            cache = (self.root / linker.PATH.lstrip("/")).read_bytes()
        except OSError:
            cache = b""
        told = [path.lstrip("/").rpartition("/")[0] for name, path in linker.entries(cache) if name == CUDA]
        folders = (self.root / one for one in (*told, *_LIBRARY_FOLDERS))
        return next((one for one in folders if (one / CUDA).is_file()), None)

    @cached_property
    def libraries(self) -> tuple[Library, ...]:
        """The driver's libraries for this machine's processor, by name."""
        folder = self.library_folder
        if folder is None:
            return ()
        suffix = f".so.{self.library_version}" if self.library_version else ""
        paths: dict[Path, None] = {}
        for path in sorted(folder.iterdir()):
            if _UNVERSIONED.fullmatch(path.name) or (suffix and path.name.endswith(suffix)):
                paths[path.resolve()] = None
        return tuple(library for library in map(_library, paths) if library)

    @cached_property
    def library_version(self) -> str:
        """The version that the libraries carry, ``550.54.15``; "": none."""
        if self.library_folder is None:
            return ""
        name = (self.library_folder / CUDA).resolve().name.partition(".so.")[2]
        return name if _VERSION.fullmatch(name) and int(name.partition(".")[0]) > 1 else ""

    @cached_property
    def version(self) -> str:
        """The version of the driver that the kernel has loaded, or else the libraries'; "": unknown."""
        found = re.search(
            r"Kernel Module.*?\s([0-9]+(?:\.[0-9]+)+)\s", self._text("proc/driver/nvidia/version")
        )
        return found[1] if found else self.library_version

    @cached_property
    def programs(self) -> tuple[Path, ...]:
        """The driver's programs."""
        found = {}
        for folder in _PROGRAM_FOLDERS:
            for name in _PROGRAMS:
                path = self.root / folder / name
                if name not in found and path.is_file() and os.access(path, os.X_OK):
                    found[name] = path
        return tuple(found.values())

    def _glob(self, folder: str, pattern: str) -> Iterator[Path]:
        try:
            yield from sorted((self.root / folder).glob(pattern))
        except OSError:
            return  # not ours to read

    def _text(self, path: str) -> str:
        try:
            return (self.root / path).read_text(errors="replace")
        except OSError:
            return ""


def _is_node(path: Path) -> bool:
    try:
        return stat.S_ISCHR(path.stat().st_mode)
    except OSError:
        return False


def _information(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _library(path: Path) -> Library | None:
    dynamic = read_file(path)
    return Library(path, dynamic.soname or path.name) if dynamic else None
