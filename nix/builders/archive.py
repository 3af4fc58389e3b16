"""Deterministic tar fragments: the pieces that layers are made of.

A fragment is a folder with ``files.tar``, a POSIX tar without its end-of-archive blocks, so that a layer is the
plain concatenation of its fragments plus :data:`END`; and ``fragment.json``, the description of a layer that
holds this fragment alone (:class:`Description`). Every entry has the same mtime; owners are numeric, names empty.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MTIME = 315532800
"""1980-01-01T00:00:00Z: the oldest time that ZIP archives can express, so ``zipfile`` works on image files."""

END = bytes(1024)
"""End-of-archive: two zero blocks (POSIX.1-2017, pax, ustar interchange format)."""

_CHUNK = 1 << 20


class Description(TypedDict):
    """What a layer is: its digest (``sha256:…`` of the tar), size in bytes and the fragments it concatenates."""

    diff_id: str
    size: int
    parts: list[str]


@dataclass(frozen=True)
class Entry:
    """One member of a fragment."""

    path: str
    """Relative to the root of the image, no leading slash."""
    mode: int
    """Permission bits, setuid and sticky included."""
    kind: bytes = tarfile.REGTYPE
    source: Path | None = None
    """Where a regular file's bytes are."""
    data: bytes = b""
    """A regular file's bytes when there is no ``source``."""
    target: str = ""
    """Of a symbolic or hard link."""
    uid: int = 0
    gid: int = 0


class _Hashing:
    """A writable file that hashes what passes."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw = raw
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self.raw.write(data)

    def tell(self) -> int:
        return self.size


def write_fragment(out: Path, entries: Iterable[Entry], name: str) -> Description:
    """Write ``out/files.tar`` and ``out/fragment.json``.

    Args:
        out: folder to create.
        entries: members in any order; written sorted by path, parents first.
        name: what people call this fragment.

    Returns:
        The description of a layer that is this fragment alone.
    """
    out.mkdir(parents=True)
    with (out / "files.tar").open("wb", buffering=_CHUNK) as raw:
        sink = _Hashing(raw)
        tar = tarfile.TarFile(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT)  # type: ignore[arg-type]
        for entry in sorted(entries, key=lambda entry: entry.path.split("/")):
            _add(tar, entry)
        sink.digest.update(END)
    description = Description(
        diff_id=f"sha256:{sink.digest.hexdigest()}", size=sink.size + len(END), parts=[str(out / "files.tar")]
    )
    (out / "fragment.json").write_text(json.dumps({"name": name, **description}, indent=1, sort_keys=True))
    return description


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.type = entry.kind
    info.mode = entry.mode
    info.uid, info.gid = entry.uid, entry.gid
    info.mtime = MTIME
    info.linkname = entry.target
    if entry.kind != tarfile.REGTYPE:
        tar.addfile(info)
    elif entry.source is None:
        info.size = len(entry.data)
        tar.addfile(info, io.BytesIO(entry.data))
    else:
        info.size = entry.source.stat().st_size
        with entry.source.open("rb") as stream:
            tar.addfile(info, stream)


def folders(path: str, mode: int = 0o755) -> Iterator[Entry]:
    """Yield directory entries for ``path`` and each of its parents.

    Every fragment carries the folders above its files: Docker would otherwise make them up, with today's mtime.
    """
    parts = path.strip("/").split("/")
    for depth in range(1, len(parts) + 1):
        yield Entry("/".join(parts[:depth]), mode, tarfile.DIRTYPE)


def from_tree(root: Path, prefix: str = "") -> Iterator[Entry]:
    """Yield an entry for everything below ``root``, owned by root, modes 0755 or 0644 by the owner's x bit.

    Args:
        root: a folder.
        prefix: where it lands in the image; no leading slash.
    """
    for folder, names, files in os.walk(root):
        names.sort()
        relative = os.path.relpath(folder, root)
        base = prefix if relative == "." else f"{prefix}/{relative}".lstrip("/")
        if base:
            yield Entry(base, 0o755, tarfile.DIRTYPE)
        for name in sorted([*files, *(n for n in names if (Path(folder) / n).is_symlink())]):
            path = Path(folder) / name
            yield normalised(path, f"{base}/{name}".lstrip("/"))


def normalised(path: Path, name: str) -> Entry:
    """Return the entry of one file or link with ownership and permissions reduced to what Git would keep."""
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        return Entry(name, 0o777, tarfile.SYMTYPE, target=str(path.readlink()))
    return Entry(name, 0o755 if info.st_mode & stat.S_IXUSR else 0o644, source=path)
