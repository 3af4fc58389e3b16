"""The programs and libraries of a project's folder, and of a layer fragment (``nix/builders/archive.py``)."""

from __future__ import annotations

import os
import re
import stat
import tarfile
from typing import IO, TYPE_CHECKING

from cog_nix.elf.dynamic import MAGIC, Dynamic, Seekable, dynamic_of
from cog_nix.elf.scan import Scan, gather, is_library, may_be_elf
from cog_nix.project.ignore import Ignore
from cog_nix.system.platforms import AMD64, BUILDER

if TYPE_CHECKING:
    from pathlib import Path
_SITE_PACKAGES = re.compile(r"^usr/local/lib/python3\.\d+/site-packages/")


def scan_project(root: Path, machine: int = AMD64.elf_machine) -> Scan:
    """Return what a project's own programs and libraries need: those that reach ``/src``.

    Args:
        root: the project's folder.
        machine: ``e_machine`` of the processor whose programs count (elf.h).

    Raises:
        ConfigError: ``.dockerignore`` is malformed, or a folder cannot be read.
    """
    found: list[tuple[str, Dynamic | None]] = []
    links = []
    for path in Ignore.load(root).walk():
        if not may_be_elf(path, executable=True):
            continue
        mode = os.lstat(root / path).st_mode
        if stat.S_ISLNK(mode) and is_library(path):
            links.append(path)
        elif stat.S_ISREG(mode) and may_be_elf(path, executable=bool(mode & 0o111)):
            found.append((path, read_file(root / path, machine)))
    return gather(found, links)


def scan_fragment(fragment: Path, machine: int = AMD64.elf_machine) -> Scan:
    """Return what the files of a fragment need.

    Paths are the image's without a leading slash; those of Python packages begin below ``site-packages``, as
    a wheel's do.

    Args:
        fragment: folder with ``files.tar``, a POSIX tar without end-of-archive blocks.
        machine: ``e_machine`` of the processor whose programs count (elf.h).
    """
    found: list[tuple[str, Dynamic | None]] = []
    links = []
    with tarfile.open(fragment / "files.tar", "r:") as tar:
        for member in tar:
            if not may_be_elf(member.name, executable=bool(member.mode & 0o111)):
                continue
            name = _SITE_PACKAGES.sub("", member.name, count=1)
            if (member.issym() or member.islnk()) and is_library(name):
                links.append(name)
            elif member.isreg():
                stream = tar.extractfile(member)
                found.append((name, _read_open(stream, machine) if stream else None))
    return gather(found, links)


def read_file(path: Path, machine: int = BUILDER.elf_machine) -> Dynamic | None:
    """Return what a file tells the loader, or None when it is no program or library for a processor.

    Args:
        path: the file.
        machine: ``e_machine`` of the processor; this machine's where nothing is said.
    """
    try:
        with path.open("rb") as file:
            return _read_open(file, machine)
    except OSError:
        return None  # unreadable here: whoever makes the layer says so


def _read_open(file: IO[bytes], machine: int) -> Dynamic | None:
    if file.read(len(MAGIC)) != MAGIC:
        return None
    return dynamic_of(Seekable(file), machine)
