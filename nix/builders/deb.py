"""Read binary Debian packages: deb(5) archives, in the standard library alone."""

from __future__ import annotations

import bz2
import fnmatch
import gzip
import io
import lzma
import os
import re
import shutil
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol, cast

import foreign
from target import TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MAGIC = b"!<arch>\n"
_HEADER = 60


class DebError(foreign.ForeignFileError):
    """A file is not a deb(5) archive that this module can read."""


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def _members(stream: IO[bytes], name: str) -> Iterator[tuple[str, int]]:
    """Yield ``(name, size)`` of each ar(5) member, with the stream at its first byte."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise DebError(f"{name} is not a Debian package")
    while header := stream.read(_HEADER):
        start = stream.tell()
        if len(header) < _HEADER or not header[48:58].strip().isdigit():
            raise DebError(f"{name} is damaged")
        size = int(header[48:58])
        yield header[:16].decode("ascii", "replace").strip().rstrip("/"), size
        stream.seek(start + size + size % 2)


class _Slice(io.RawIOBase):
    """The bytes of one member as a file."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._left = stream, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def data(path: Path) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """Yield every member of a package's data archive, and the archive to read it from.

    Names have no leading ``./``; the root itself is left out.

    Raises:
        DebError: not a package, or compressed in a way that the standard library cannot read.
        foreign.ForeignFileError: it is damaged, or has a member that leads out of it.
    """
    with path.open("rb") as stream:
        for name, size in _members(stream, path.name):
            if not name.startswith("data.tar"):
                continue
            with foreign.reading(path.name, "package"), _archive(name, stream, size, path) as tar:
                for info in tar:
                    info.name = foreign.checked(info.name.removeprefix("./").rstrip("/"))
                    if info.islnk():
                        foreign.checked(info.linkname.removeprefix("./"))
                    if info.name not in ("", "."):
                        yield info, tar
            return
    raise DebError(f"{path.name} has no data archive")


def _archive(member: str, stream: IO[bytes], size: int, path: Path) -> tarfile.TarFile:
    if member == "data.tar":
        return tarfile.open(fileobj=stream, mode="r:")  # may skip what nobody reads
    plain = _decompressed(member, io.BufferedReader(_Slice(stream, size), 1 << 18), path)
    return tarfile.open(fileobj=plain, mode="r|")


def content(info: tarfile.TarInfo, tar: tarfile.TarFile) -> IO[bytes]:
    """Return a regular file's bytes, to be read before the next member.

    Raises:
        DebError: it is no regular file.
    """
    stream = tar.extractfile(info)
    if stream is None:
        raise DebError(f"{info.name} is not a regular file")
    return stream


def copy(info: tarfile.TarInfo, tar: tarfile.TarFile, sink: int) -> None:
    """Copy a regular file's bytes out of a data archive without compression.

    Args:
        info: the file.
        tar: the archive.
        sink: descriptor of the file to write to.

    Raises:
        DebError: the archive ends before the file does.
    """
    source = cast("IO[bytes]", tar.fileobj).fileno()
    place, end = info.offset_data, info.offset_data + info.size
    while place < end:
        copied = os.sendfile(sink, source, place, end - place)
        if not copied:
            raise DebError(f"{info.name} is cut short")
        place += copied


_OPENERS: dict[str, Callable[[IO[bytes]], _Readable]] = {
    "data.tar": lambda stream: stream,
    "data.tar.gz": gzip.open,
    "data.tar.bz2": bz2.open,
    "data.tar.xz": lzma.open,
}


def _decompressed(member: str, stream: IO[bytes], path: Path) -> IO[bytes]:
    """Return the bytes of a data archive without its compression, which its name tells (deb(5))."""
    if member not in _OPENERS:
        raise DebError(f"{path.name}: cannot read {member}")
    return cast("IO[bytes]", _OPENERS[member](stream))


def decompress(package: Path, to: Path) -> None:
    """Write the same package with an uncompressed data archive, which dpkg takes as well (deb(5)).

    A package is read more than once in a build; xz is worth undoing only once, and in parallel.
    """
    with foreign.reading(package.name, "package"), package.open("rb") as stream, to.open("wb") as sink:
        sink.write(_MAGIC)
        for name, size in _members(stream, package.name):
            member: IO[bytes] = io.BufferedReader(_Slice(stream, size), 1 << 18)
            plain = name
            if name.startswith("data.tar"):
                member, plain = _decompressed(name, member, package), "data.tar"
            start = sink.tell()
            sink.write(bytes(_HEADER))
            shutil.copyfileobj(member, sink, 1 << 20)
            length = sink.tell() - start - _HEADER
            sink.write(b"\n" * (length % 2))
            end = sink.tell()
            sink.seek(start)
            sink.write(f"{plain:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{length:<10}`\n".encode("ascii"))
            sink.seek(end)


@dataclass(frozen=True)
class Attributes:
    """Owner and permissions as the package has them."""

    uid: int
    gid: int
    mode: int


EXCLUDE = (
    # What Debian's own slim images leave out.
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/groff/*",
    "usr/share/lintian/*",
    "usr/share/linda/*",
    # Converters between character sets that glibc itself lists as extra (gconv-modules-extra.conf).
    f"usr/lib/{TARGET.triplet}/gconv/*",
    "usr/bin/tini-static",
)
"""Packaged files that stay out of images, as patterns whose ``*`` matches ``/`` (dpkg(1), path-exclude)."""

INCLUDE = (
    "usr/share/doc/*/copyright",
    "usr/share/locale/locale.alias",
    f"usr/lib/{TARGET.triplet}/gconv/gconv-modules",
    *(
        f"usr/lib/{TARGET.triplet}/gconv/{name}.so"
        for name in (
            "ANSI_X3.110",
            "CP1252",
            "ISO8859-1",
            "ISO8859-15",
            "UNICODE",
            "UTF-16",
            "UTF-32",
            "UTF-7",
        )
    ),
)
"""Exceptions to :data:`EXCLUDE`."""

_RARE_ENCODINGS = (
    "big5*",
    "cp[0-9]*",
    "euc_*",
    "gb*",
    "hp_*",
    "hz",
    "iso*",
    "johab",
    "koi8*",
    "kz*",
    "mac_*",
    "palmos",
    "ptcp*",
    "shift_*",
    "tis*",
)
_RARE_MODULES = (
    "_pydatetime",
    "_pydecimal",
    "_pyio",
    "_pylong",
    "cProfile",
    "doctest",
    "ftplib",
    "imaplib",
    "mailbox",
    "pdb",
    "pickletools",
    "poplib",
    "profile",
    "pstats",
    "pyclbr",
    "pydoc",
    "smtplib",
    "tabnanny",
    "telnetlib",
    "trace",
    "turtle",
    "webbrowser",
)

PRUNED = (
    # CPython's own tests, and the texts of help("topic"); its maintainer scripts want to compile them first.
    "usr/lib/python3*/test/*",
    "usr/lib/python3*/pydoc_data/topics.py",
    "usr/lib/python3*/pydoc_data/__pycache__/topics.*",
    "usr/lib/python3*/lib-dynload/_test*",
    "usr/lib/python3*/lib-dynload/_ctypes_test*",
    "usr/lib/python3*/lib-dynload/_xxtestfuzz*",
    # Bytecode of what a model at work does not import; Python compiles it when somebody does.
    *(f"usr/lib/python3*/encodings/__pycache__/{name}.*" for name in _RARE_ENCODINGS),
    *(f"usr/lib/python3*/__pycache__/{name}.*" for name in _RARE_MODULES),
    "usr/lib/python3*/_pyrepl/__pycache__/*",
)
"""Packaged files that are removed once everything is configured."""

_PRUNED = re.compile("|".join(map(fnmatch.translate, PRUNED)))
_EXCLUDED = re.compile("|".join(map(fnmatch.translate, EXCLUDE)))
_INCLUDED = re.compile("|".join(map(fnmatch.translate, INCLUDE)))


def left_out(path: str) -> bool:
    """Say whether a packaged file stays out of images."""
    return _EXCLUDED.match(path) is not None and _INCLUDED.match(path) is None


def pruned(path: str) -> bool:
    """Say whether a file is removed after configuring."""
    return _PRUNED.match(path) is not None
