"""Files that hold a clock, or the order of a folder, made the same each time."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import archive
import pytest
import stable_files

if TYPE_CHECKING:
    from pathlib import Path


def _keystore(*dates: int, tag: int = 2, password: str = "changeit") -> bytes:  # noqa: S107 - the default of Java
    """Write a JKS as OpenJDK's JavaKeyStore does."""
    body = struct.pack(">III", 0xFEEDFEED, 2, len(dates))
    for number, date in enumerate(dates):
        alias, certificate = f"debian:{number}".encode(), b"certificate" * number
        body += struct.pack(">IH", tag, len(alias)) + alias + struct.pack(">QH", date, 5) + b"X.509"
        body += struct.pack(">I", len(certificate)) + certificate
    salted = password.encode("utf-16-be") + b"Mighty Aphrodite" + body
    return body + hashlib.sha1(salted, usedforsecurity=False).digest()


def test_certificates_get_one_date() -> None:
    image = archive.MTIME * 1000
    assert stable_files.java_keystore(_keystore(17, 18, 19)) == _keystore(image, image, image)


@pytest.mark.parametrize(
    "data",
    [
        _keystore(17, password="another"),  # noqa: S106 - of nothing
        _keystore(17, tag=1),
        _keystore(17)[:-1],
        b"",
        b"PKCS12",
    ],
    ids=["password", "private-key", "cut", "empty", "another-format"],
)
def test_other_keystores_stay(data: bytes) -> None:
    assert stable_files.java_keystore(data) == data


def test_lists_of_files_are_sorted() -> None:
    head = b"% ls-R -- filename database for kpathsea; do not change this line."
    one = head + b"\n\n./:\n.:\nweb2c\nfonts\n\n./web2c:\ntex\netex\n\n./fonts:\nmap\n"
    other = head + b"\n\n./:\n.:\nfonts\nweb2c\n\n./fonts:\nmap\n\n./web2c:\netex\ntex\n\n"
    assert stable_files.file_list(one) == stable_files.file_list(other)
    assert stable_files.file_list(one).startswith(head + b"\n\n./:\n.:\nfonts\nweb2c\n\n")
    assert stable_files.file_list(b"something else") == b"something else"


def test_font_maps_are_sorted_below_their_comments() -> None:
    data = b"### made\n# more\nMap b.map\nMixedMap a.map\nMap a.map\n"
    assert stable_files.font_maps(data) == b"### made\n# more\nMap a.map\nMap b.map\nMixedMap a.map\n"


def test_files_are_settled_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "etc/ssl/certs/java/cacerts"
    path.parent.mkdir(parents=True)
    path.write_bytes(_keystore(17))
    stable_files.rewrite(tmp_path)
    assert path.read_bytes() == _keystore(archive.MTIME * 1000)
