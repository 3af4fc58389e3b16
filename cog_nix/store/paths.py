"""Nix archives, hashes and store paths, as the Nix manual specifies them ("Store Path", "Nix Archive")."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORE_DIR = "/nix/store"
_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_HASH_BYTES = 20
_SHA256_BYTES = 32
_ILLEGAL = re.compile(r"[^a-zA-Z0-9+._?=-]")


def store_name(text: str) -> str:
    """Turn any text into a legal store path name; the same rule as ``nix/store.nix``."""
    return "-".join(_ILLEGAL.split(text))


def base32(data: bytes) -> str:
    """Encode as Nix does: least significant digit last, alphabet without e, o, u and t."""
    length = (len(data) * 8 - 1) // 5 + 1
    number = int.from_bytes(data, "little")
    return "".join(_ALPHABET[(number >> (5 * position)) & 31] for position in reversed(range(length)))


def sri_hash(text: str) -> str:
    """Return the SRI form of a hash as ``nix-store --query --hash`` prints it (``sha256:`` and base 32)."""
    number = 0
    for digit in text.removeprefix("sha256:"):
        number = number << 5 | _ALPHABET.index(digit)
    return f"sha256-{base64.b64encode(number.to_bytes(_SHA256_BYTES, 'little')).decode()}"


def _path(kind: str, digest: str, name: str) -> str:
    fingerprint = hashlib.sha256(f"{kind}:sha256:{digest}:{STORE_DIR}:{name}".encode()).digest()
    folded = bytearray(_HASH_BYTES)
    for position, byte in enumerate(fingerprint):
        folded[position % _HASH_BYTES] ^= byte
    return f"{STORE_DIR}/{base32(bytes(folded))}-{name}"


def file_path(sha256: str, name: str) -> str:
    """Return the store path of a flat fixed output.

    Args:
        sha256: of the file's bytes, hexadecimal.
        name: a legal name.
    """
    inner = hashlib.sha256(f"fixed:out:sha256:{sha256}:".encode()).hexdigest()
    return _path("output:out", inner, name)


def tree_path(sri: str, name: str) -> str:
    """Return the store path of a recursive fixed output.

    Args:
        sri: ``sha256-…`` of the tree's NAR.
        name: a legal name.
    """
    return _path("source", hexadecimal(sri), name)


def hexadecimal(sri: str) -> str:
    """Return the digits of a SHA-256 in its SRI form."""
    return base64.b64decode(sri.removeprefix("sha256-")).hex()


def nar_hash(path: Path) -> str:
    """Return the SRI hash of a tree's Nix archive."""
    return nar_hash_and_size(path)[0]


def nar_hash_and_size(path: Path) -> tuple[str, int]:
    """Return the SRI hash of a tree's Nix archive, and how many bytes that has."""
    digest, size = hashlib.sha256(), 0
    for chunk in _nar(path):
        digest.update(chunk)
        size += len(chunk)
    return f"sha256-{base64.b64encode(digest.digest()).decode()}", size


def nar_frame(size: int) -> tuple[bytes, bytes]:
    """Return what stands before and after the bytes of a file in the Nix archive of that file alone.

    Args:
        size: of the file, in bytes; it is not executable.
    """
    before = b"".join(map(_text, (b"nix-archive-1", b"(", b"type", b"regular", b"contents")))
    return before + size.to_bytes(8, "little"), bytes(-size % 8) + _text(b")")


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(8, "little") + value + bytes(-len(value) % 8)


def _nar(path: Path) -> Iterator[bytes]:
    yield _text(b"nix-archive-1")
    yield from _node(path)


def _node(path: Path) -> Iterator[bytes]:
    info = path.lstat()
    yield _text(b"(") + _text(b"type")
    if stat.S_ISLNK(info.st_mode):
        yield _text(b"symlink") + _text(b"target") + _text(os.fsencode(path.readlink()))
    elif stat.S_ISDIR(info.st_mode):
        yield _text(b"directory")
        for child in sorted(path.iterdir(), key=lambda child: os.fsencode(child.name)):
            yield b"".join(map(_text, (b"entry", b"(", b"name", os.fsencode(child.name), b"node")))
            yield from _node(child)
            yield _text(b")")
    else:
        yield _text(b"regular")
        if info.st_mode & stat.S_IXUSR:
            yield _text(b"executable") + _text(b"")
        yield _text(b"contents") + _text(path.read_bytes())
    yield _text(b")")
