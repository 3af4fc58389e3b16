"""Divide a system's state: what every image has, and what belongs to packages that an image may leave out.

State is what no package owns: dpkg's database, alternatives, the dynamic linker's cache. An image that leaves
packages out must not speak of them either.
"""

from __future__ import annotations

import re
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import dpkg
import namespace
from failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    import archive

CACHE = "etc/ld.so.cache"
_INFO = re.compile(r"var/lib/dpkg/info/([^:/]+?)(:[a-z0-9]+)?\.[a-z0-9]+")
_FILES_OF_SCRIPTS = {"libpam-runtime": ("etc/pam.d/", "var/lib/pam/")}
"""Files that a package's maintainer scripts make."""


def divide(
    root: Path,
    entries: Sequence[archive.Entry],
    files: Mapping[str, AbstractSet[str]],
    apart: AbstractSet[str],
) -> tuple[list[archive.Entry], list[archive.Entry]]:
    """Return the state without the packages in ``apart``, and what to lay over it when they are there.

    Args:
        root: the installed system. The files of packages in ``apart`` are removed from it.
        entries: its state.
        files: each package's files.
        apart: names of packages.
    """
    gone = set().union(*(files[name] for name in apart)) - set().union(
        *(files[name] for name in files.keys() - apart)
    )
    prefixes = tuple(
        prefix for name, files_of in _FILES_OF_SCRIPTS.items() if name in apart for prefix in files_of
    )
    without: list[archive.Entry] = []
    beside: list[archive.Entry] = []
    alternatives = _alternatives(entries, gone)
    for entry in entries:
        if entry.path in (dpkg.STATUS, CACHE):
            beside.append(entry._replace(source=None, data=(root / entry.path).read_bytes()))
        elif _target(entry) in gone or _belongs(entry, apart, prefixes, alternatives):
            beside.append(entry)
        else:
            without.append(entry)
    status = next(entry for entry in beside if entry.path == dpkg.STATUS)
    without.append(status._replace(data=status_without(status.data, apart)))
    cache = next(entry for entry in beside if entry.path == CACHE)
    without.append(cache._replace(data=_cache_without(root, gone)))
    return without, beside


def status_without(status: bytes, apart: AbstractSet[str]) -> bytes:
    """Return dpkg's status file without the stanzas of some packages (Debian Policy 5.1)."""
    stanzas = [stanza for stanza in status.decode().split("\n\n") if stanza.strip()]
    kept = [stanza for stanza in stanzas if _package(stanza) not in apart]
    return "".join(f"{stanza.strip()}\n\n" for stanza in kept).encode()


def unfinished(status: bytes) -> list[str]:
    """Return the packages in dpkg's status file that are not wholly installed (dpkg-query(1), --list)."""
    stanzas = [stanza for stanza in status.decode().split("\n\n") if stanza.strip()]
    return [
        _package(stanza) for stanza in stanzas if "\nStatus: install ok installed\n" not in f"\n{stanza}\n"
    ]


def _package(stanza: str) -> str:
    return stanza.partition("Package: ")[2].partition("\n")[0]


def _alternatives(entries: Sequence[archive.Entry], gone: AbstractSet[str]) -> set[str]:
    """Return the paths that alternatives (update-alternatives(1)) of removed programs consist of."""
    names = {
        PurePosixPath(entry.path).name
        for entry in entries
        if entry.path.startswith("etc/alternatives/") and _target(entry) in gone
    }
    found = {f"etc/alternatives/{name}" for name in names} | {
        f"var/lib/dpkg/alternatives/{name}" for name in names
    }
    return found | {entry.path for entry in entries if entry.target.lstrip("/") in found}


def _target(entry: archive.Entry) -> str:
    """Return what a link of the state points to, merged."""
    path = entry.target.lstrip("/")
    return path if path.startswith(("usr/", "etc/", "var/", "opt/")) else f"usr/{path}"


def _belongs(
    entry: archive.Entry, apart: AbstractSet[str], prefixes: tuple[str, ...], alternatives: AbstractSet[str]
) -> bool:
    """Say whether a piece of state is there because of a package in ``apart``."""
    if entry.kind == tarfile.DIRTYPE:
        return False
    info = _INFO.fullmatch(entry.path)
    return bool(
        (info and info.group(1) in apart) or entry.path.startswith(prefixes) or entry.path in alternatives
    )


def _cache_without(root: Path, gone: AbstractSet[str]) -> bytes:
    """Return the dynamic linker's cache (ldconfig(8)) of the system without these files."""
    for path in gone:
        target = root / path
        if target.is_symlink() or target.is_file():
            target.unlink()
    status = namespace.run(root, ["/usr/sbin/ldconfig"], {"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C"}, {})
    if status:
        raise CommandError("ldconfig", status)
    return (root / CACHE).read_bytes()
