"""Deterministic tar fragments: the pieces that layers are made of.

A fragment is a folder with

- ``directories.tar`` and ``files.tar``: its directory entries and all others, as POSIX tar without
  end-of-archive blocks, so that concatenations of them are tars again;
- ``index.tsv``: a line for each entry of ``files.tar`` with the offsets of its first and last byte plus one,
  and its path; and a line for each directory with its attributes;
- ``fragment.json``: the description of a layer that holds this fragment alone (:class:`Description`).

Several fragments become one layer without being copied: a layer names byte ranges of its fragments. A path
may stand in a layer only once (Docker and containers/storage refuse duplicates), which is why directories are
apart.
Every entry has the same mtime; owners are numeric, names empty.
"""

from __future__ import annotations

import json
import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol, TypedDict

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

MTIME = 315532800
"""1980-01-01T00:00:00Z: the oldest that ZIP archives can express, so ``zipfile`` works on image files."""

END = bytes(1024)
"""End-of-archive: two zero blocks (POSIX.1-2017, pax, ustar interchange format)."""

_NAME, _CHECKSUM, _ID, _SIZE = 100, 148, 0o7777777, 0o77777777777
"""Bytes of a name in a header, where its checksum is, and the largest numbers that it holds."""
_CHUNK = 1 << 20
_WORTH_OPENSSL = 1 << 20
_HASHED_AT_ONCE = 1 << 18
"""Bytes that a processor's own cache holds between reading and hashing them."""


class Part(TypedDict):
    """A range of bytes of a file in the store."""

    path: str
    offset: int
    size: int


class Description(TypedDict):
    """What a layer is: the digest (``sha256:…``) and size of its tar, and the ranges that it concatenates.

    The tar is the ranges followed by :data:`END`.
    """

    diff_id: str
    size: int
    parts: list[Part]


class Entry(NamedTuple):
    """One member of a fragment. A dataclass would cost every edit 20 ms (cog_nix/system/values.py)."""

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
    capability: str = ""
    """A regular file's attribute ``security.capability``, each byte a character of Latin-1."""


class Late(Protocol):
    """Files whose content is written when all else is: what takes long is done once, and at its place."""

    @property
    def paths(self) -> AbstractSet[str]:
        """Paths of their sources: files of the right size and permissions, whatever they hold."""

    def write(self, tar: Path, places: Mapping[str, int]) -> None:
        """Write the contents.

        Args:
            tar: file to write to.
            places: where the content of each source begins.
        """


def write_fragment(out: Path, entries: Iterable[Entry], name: str, late: Late | None = None) -> None:
    """Write a fragment to the folder ``out``.

    Args:
        out: folder to create.
        entries: members in any order; written sorted by path.
        name: what people call this fragment.
        late: writes the content of some of the files once it is known where that goes.
    """
    out.mkdir(parents=True)
    unique = {entry.path: entry for entry in entries}
    ordered = sorted(unique.values(), key=lambda entry: entry.path.split("/"))
    directories = [entry for entry in ordered if entry.kind == tarfile.DIRTYPE]
    write_tar(out / "directories.tar", directories)
    files = [entry for entry in ordered if entry.kind != tarfile.DIRTYPE]
    offsets = write_tar(out / "files.tar", files, late.paths if late else frozenset())
    if late:
        late.write(out / "files.tar", _contents(files, offsets, late.paths))
    write_index(out, directories, offsets)
    parts = [whole(out / "directories.tar"), whole(out / "files.tar")]
    write_description(out, name, describe(parts))


def write_tar(
    path: Path, entries: Iterable[Entry], late: AbstractSet[str] = frozenset()
) -> list[tuple[int, int, str]]:
    """Write entries as a tar without end-of-archive blocks; return ``(start, end, path)`` of each.

    Args:
        path: file to write.
        entries: members, in their order.
        late: paths of sources of regular files whose content is left out for now: zeros stand there.
    """
    offsets = []
    with path.open("wb", buffering=_CHUNK) as sink:
        offset = 0
        for entry in entries:
            start = offset
            header, size = _header(entry)
            offset += sink.write(header)
            if size:
                if late and str(entry.source) in late:
                    sink.seek(_padded(size), os.SEEK_CUR)
                else:
                    _copy(entry, size, sink)
                    sink.write(bytes(_padded(size) - size))
                offset += _padded(size)
            offsets.append((start, offset, entry.path))
        sink.truncate()
    return offsets


def _contents(
    files: Iterable[Entry], offsets: Iterable[tuple[int, int, str]], late: AbstractSet[str]
) -> dict[str, int]:
    """Return where in the tar the content of each late file begins."""
    found = {}
    for entry, (_, end, _) in zip(files, offsets, strict=True):
        if entry.source is not None and str(entry.source) in late:
            found[str(entry.source)] = end - _padded(entry.source.stat().st_size)
    return found


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def write_index(out: Path, directories: Iterable[Entry], offsets: Iterable[tuple[int, int, str]]) -> None:
    """Write ``index.tsv``. Paths are JSON strings: they may hold anything."""
    lines = [f"d\t{one.mode}\t{one.uid}\t{one.gid}\t{json.dumps(one.path)}" for one in directories]
    lines += [f"f\t{start}\t{end}\t{json.dumps(path)}" for start, end, path in offsets]
    (out / "index.tsv").write_text("".join(f"{line}\n" for line in lines))


def read_index(fragment: Path) -> tuple[list[Entry], list[tuple[int, int, str]]]:
    """Return what :func:`write_index` wrote."""
    directories, offsets = [], []
    for line in (fragment / "index.tsv").read_text().splitlines():
        kind, *rest = line.split("\t")
        if kind == "d":
            mode, uid, gid, path = rest
            directories.append(
                Entry(json.loads(path), int(mode), tarfile.DIRTYPE, uid=int(uid), gid=int(gid))
            )
        else:
            offsets.append((int(rest[0]), int(rest[1]), json.loads(rest[2])))
    return directories, offsets


def whole(path: Path) -> Part:
    """Return the part that is a whole file."""
    return {"path": str(path), "offset": 0, "size": path.stat().st_size}


def describe(parts: list[Part]) -> Description:
    """Hash the concatenation of ``parts`` and the end-of-archive blocks."""
    size = len(END) + sum(part["size"] for part in parts)
    digest = _sha256(size)
    buffer = memoryview(bytearray(_HASHED_AT_ONCE))
    for part in parts:
        with Path(part["path"]).open("rb", buffering=0) as stream:
            stream.seek(part["offset"])
            left = part["size"]
            while left:
                count = stream.readinto(buffer[: min(left, len(buffer))])
                if not count:
                    raise EOFError(f"{part['path']} is shorter than it was")
                digest.update(buffer[:count])
                left -= count
    digest.update(END)
    return {
        "diff_id": f"sha256:{digest.hexdigest()}",
        "size": size,
        "parts": [part for part in parts if part["size"]],
    }


def _sha256(size: int) -> hashlib._Hash:
    """Return a SHA-256 for so many bytes: OpenSSL's takes as long to start as Python's own for a megabyte."""
    if size < _WORTH_OPENSSL:
        with suppress(ImportError):
            import _sha2  # type: ignore[import-not-found] # noqa: PLC0415 - see above

            digest: hashlib._Hash = _sha2.sha256()
            return digest
    import hashlib  # noqa: PLC0415 - as above

    return hashlib.sha256()


def write_description(out: Path, name: str, description: Description) -> None:
    """Write ``fragment.json``."""
    (out / "fragment.json").write_text(json.dumps({"name": name, **description}, indent=1, sort_keys=True))


def _copy(entry: Entry, size: int, sink: IO[bytes]) -> None:
    """Write a regular file's content."""
    if entry.source is None:
        sink.write(entry.data)
        return
    with entry.source.open("rb", buffering=0) as stream:
        left = size
        while left and (data := stream.read(min(left, _CHUNK))):
            left -= sink.write(data)
    if left:
        raise EOFError(f"{entry.source} is shorter than it was")


def _header(entry: Entry) -> tuple[bytes, int]:
    """Return an entry's header, as ``tarfile`` makes it in five times the time, and its content's size."""
    size = 0
    if entry.kind == tarfile.REGTYPE:
        size = len(entry.data) if entry.source is None else entry.source.stat().st_size
    path = entry.path + "/" if entry.kind == tarfile.DIRTYPE else entry.path
    simple = path.isascii() and entry.target.isascii() and not entry.capability and "\0" not in path
    if not simple or len(entry.target) > _NAME or max(entry.uid, entry.gid) > _ID or size > _SIZE:
        return _info(entry, size).tobuf(tarfile.PAX_FORMAT), size
    before = b""
    if len(path) > _NAME:
        record = _record("path", path)
        before = _block("././@PaxHeader", tarfile.XHDTYPE, size=len(record)) + record
        before += bytes(-len(before) % tarfile.BLOCKSIZE)
    block = _block(
        path[:_NAME],
        entry.kind,
        mode=entry.mode & 0o7777,
        owner=(entry.uid, entry.gid),
        size=size,
        mtime=MTIME,
        target=entry.target,
    )
    return before + block, size


def _record(key: str, value: str) -> bytes:
    """Return a record of an extended header, which begins with its own length (POSIX.1-2017, pax)."""
    rest = f" {key}={value}\n"
    length = len(rest)
    while len(f"{length}{rest}") != length:
        length = len(f"{length}{rest}")
    return f"{length}{rest}".encode("ascii")


def _block(
    name: str,
    kind: bytes,
    *,
    mode: int = 0,
    owner: tuple[int, int] = (0, 0),
    size: int = 0,
    mtime: int = 0,
    target: str = "",
) -> bytes:
    """Return a header block (POSIX.1-2017, ustar interchange format)."""
    numbers = f"{mode:07o}\0{owner[0]:07o}\0{owner[1]:07o}\0{size:011o}\0{mtime:011o}\0        "
    begin = name.encode("ascii").ljust(_NAME, b"\0") + numbers.encode("ascii") + kind
    block = (begin + target.encode("ascii").ljust(_NAME, b"\0") + tarfile.POSIX_MAGIC).ljust(
        tarfile.BLOCKSIZE, b"\0"
    )
    return block[:_CHECKSUM] + f"{sum(block):06o}\0".encode("ascii") + block[_CHECKSUM + 7 :]


def _info(entry: Entry, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(entry.path)
    info.type = entry.kind
    info.mode = entry.mode
    info.uid, info.gid = entry.uid, entry.gid
    info.mtime = MTIME
    info.size = size
    info.linkname = entry.target
    if entry.capability:
        # The name that star(1) gave to extended attributes is the one that Docker reads.
        value = entry.capability.encode("latin-1").decode("utf-8", "surrogateescape")
        info.pax_headers = {"SCHILY.xattr.security.capability": value}
    return info


def folders(path: str, mode: int = 0o755) -> Iterator[Entry]:
    """Yield directory entries for ``path`` and each of its parents.

    Every fragment carries the folders above its files: Docker would make them up, with today's mtime.
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
