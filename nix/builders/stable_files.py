"""Take clocks and chance out of files that maintainer scripts make and images need.

Each function knows one format. A file that is not what it expects stays as it is.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import archive

if TYPE_CHECKING:
    from pathlib import Path

_JAVA_HEADER = 12
_JAVA_MAGIC = 0xFEEDFEED
_JAVA_SALT = b"Mighty Aphrodite"
_JAVA_PASSWORD = "changeit"  # noqa: S105 - every Java's default, for certificates that are public
_JAVA_TRUSTED = 2
_DIGEST = 20


def rewrite(root: Path) -> None:
    """Write every file of a system anew that is known to hold a clock, or the order of a folder."""
    formats = {
        "etc/ssl/certs/java/cacerts": java_keystore,
        "var/lib/texmf/ls-R": file_list,
        "var/lib/texmf/updmap.cfg-TEXLIVEDIST": font_maps,
    }
    for name, change in formats.items():
        path = root / name
        if path.is_file() and not path.is_symlink():
            old = path.read_bytes()
            new = change(old)
            if new != old:
                path.write_bytes(new)


def java_keystore(data: bytes) -> bytes:
    """Give all certificates of a keystore (JKS, version 2) one date.

    The format ends with SHA-1 over password, salt and all before it (OpenJDK, JavaKeyStore.java).
    """
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    if (
        len(body) < _JAVA_HEADER
        or _java_digest(body) != digest
        or struct.unpack_from(">II", data) != (_JAVA_MAGIC, 2)
    ):
        return data
    try:
        new = _with_one_date(body)
    except (struct.error, ValueError):  # other entries than certificates, or it ends in the middle of one
        return data
    return new + _java_digest(new)


def _with_one_date(body: bytes) -> bytes:
    new = bytearray(body)
    (count,) = struct.unpack_from(">I", body, 8)
    position = 12
    for _ in range(count):
        (tag,) = struct.unpack_from(">I", body, position)
        if tag != _JAVA_TRUSTED:
            raise ValueError(tag)
        position = _after(body, position + 4, ">H")
        struct.pack_into(">Q", new, position, archive.MTIME * 1000)
        position = _after(body, _after(body, position + 8, ">H"), ">I")
    return bytes(new)


def _after(data: bytes, position: int, kind: str) -> int:
    """Return what follows a field that begins with its length."""
    (length,) = struct.unpack_from(kind, data, position)
    return position + struct.calcsize(kind) + int(length)


def _java_digest(body: bytes) -> bytes:
    text = _JAVA_PASSWORD.encode("utf-16-be")
    return hashlib.sha1(text + _JAVA_SALT + body, usedforsecurity=False).digest()


def file_list(data: bytes) -> bytes:
    """Sort the names under each folder of an ls-R (kpathsea(7)), and the folders."""
    blocks = data.split(b"\n\n")
    head, folders = blocks[0], blocks[1:]
    if not head.startswith(b"%") or not all(_is_folder(block) for block in folders if block.strip()):
        return data
    ordered = []
    for block in sorted(block.strip(b"\n") for block in folders if block.strip()):
        lines = block.split(b"\n")
        titles = [line for line in lines if line.endswith(b":")]
        ordered.append(b"\n".join([*titles, *sorted(set(lines) - set(titles))]))
    return b"\n\n".join([head, *ordered]) + b"\n"


def _is_folder(block: bytes) -> bool:
    return block.strip(b"\n").partition(b"\n")[0].endswith(b":")


def font_maps(data: bytes) -> bytes:
    """Sort a list of font maps (updmap.cfg(5)), which has an order of no meaning."""
    lines = data.splitlines(keepends=True)
    entries = sorted(line for line in lines if not line.startswith(b"#") and line.strip())
    return b"".join([line for line in lines if line.startswith(b"#")] + entries)
