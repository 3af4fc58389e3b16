"""Take clocks and chance out of what a command left behind.

What changes from run to run although nothing was asked for: times of file systems in Git's index, times of
clones in its logs, times in bytecode, caches. What is left out is listed in docs/design/run-commands.md.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
from typing import TYPE_CHECKING

import python_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

VOLATILE = (
    "proc",
    "sys",
    "dev",
    "run",
    "var/log",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/lib/apt/lists",
    "root/.cache/pip",
    "root/.cache/uv",
)
"""Folders whose contents are clocks, logs, caches or mounts."""

VOLATILE_FILES = (
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "etc/.pwd.lock",
    *(f"etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")),
    *(f"var/lib/dpkg/{name}-old" for name in ("status", "available", "diversions", "statoverride", "arch")),
    "var/lib/dpkg/available",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/apt/daily_lock",
    "root/.wget-hsts",
)

_GIT_LOGS = re.compile(r"(^|/)(\.git|\.git/modules/.+|[^/]+\.git)/logs(/|$)")
_CACHED = re.compile(
    r"(?P<folder>.*?)/?__pycache__/(?P<module>[^/]+)\.(?P<tag>[a-z]+-\d+)(?P<level>\.opt-\d)?\.pyc"
)
_ENTRY_FIXED = 62
"""Bytes of an index entry before its name (gitformat-index(5))."""
_STAT_BYTES = 24
"""ctime, mtime, device and inode."""
_SUPPORTED = (2, 3)
_EXTENDED = 0x4000


def volatile(path: str) -> bool:
    """Say whether a path never belongs to a layer."""
    return (
        path in VOLATILE_FILES
        or path.startswith(tuple(f"{folder}/" for folder in VOLATILE))
        or path in VOLATILE[-2:]
        or _GIT_LOGS.search(path) is not None
    )


def git_indexes(root: Path, changed: Iterable[str]) -> None:
    """Take what Git remembers of the file system out of its indexes; it looks again when it is asked."""
    for path in changed:
        if path.rpartition("/")[2] == "index" and (root / path).parent.joinpath("HEAD").is_file():
            data = (root / path).read_bytes()
            if (plain := without_times(data)) is not None:
                (root / path).write_bytes(plain)


def without_times(index: bytes) -> bytes | None:
    """Return a Git index without times, devices, inodes and owners; None when it is no index that we know.

    See gitformat-index(5). Sizes stay: Git takes an entry whose size differs as changed without looking.
    """
    if len(index) < 32 or index[:4] != b"DIRC":  # noqa: PLR2004 - header and checksum
        return None
    version, count = struct.unpack_from(">LL", index, 4)
    if version not in _SUPPORTED:
        return None
    try:
        data = _without_times(bytearray(index[:-20]), count)
    except (struct.error, ValueError):  # it ends in the middle of an entry
        return None
    return data + hashlib.sha1(data).digest()  # noqa: S324 - Git's own checksum


def _without_times(data: bytearray, count: int) -> bytes:
    position = 12
    for _ in range(count):
        data[position : position + _STAT_BYTES] = bytes(_STAT_BYTES)
        data[position + 28 : position + 36] = bytes(8)  # uid and gid
        (flags,) = struct.unpack_from(">H", data, position + 60)
        name = position + _ENTRY_FIXED + (2 if flags & _EXTENDED else 0)
        end = data.index(0, name)
        position += (end - position) // 8 * 8 + 8
    return bytes(data)


def bytecode(root: Path, tree: Path, minor: str, changed: Sequence[str]) -> list[str]:
    """Compile anew what a command compiled, without times in it, and what it left uncompiled in packages.

    Args:
        root: the file system.
        tree: an interpreter that runs here, of the image's version.
        minor: its version, ``3.13``.
        changed: paths that the command made or changed.

    Returns:
        The paths of all bytecode that belongs to the layer.
    """
    tag = f"cpython-{minor.replace('.', '')}"
    packages = (f"usr/local/lib/python{minor}/site-packages/", "usr/lib/python3/dist-packages/")
    sources = {path for path in changed if path.endswith(".py") and path.startswith(packages)}
    kept: list[str] = []
    for path in changed:
        found = _CACHED.fullmatch(path)
        if found is None:
            continue
        source = f"{found['folder']}/{found['module']}.py".lstrip("/")
        if found["tag"] != tag:
            kept += [path] if without_clock(root / path) else []
        elif not found["level"] and (root / source).is_file():
            sources.add(source)
    caches = {_cache_of(source, tag) for source in sources}
    for path in caches:
        (root / path).unlink(missing_ok=True)
    python_tree.compile_all(tree, minor, root, "/", sorted(sources))
    return kept + sorted(path for path in caches if (root / path).is_file())


def _cache_of(source: str, tag: str) -> str:
    folder, slash, name = source.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


def without_clock(path: Path) -> bool:
    """Turn bytecode of another Python into the unchecked kind (PEP 552); say whether it can be.

    Bytecode of the usual kind is compared with its source's time at import, which the layer does not keep.
    """
    data = path.read_bytes()
    if len(data) < 16 or data[2:4] != b"\r\n" or data[4:8] not in (bytes(4), b"\1\0\0\0", b"\3\0\0\0"):  # noqa: PLR2004
        return False
    path.write_bytes(data[:4] + b"\1\0\0\0" + bytes(8) + data[16:])
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
