from __future__ import annotations

import gzip
import lzma
import os
import time
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import LockError
from cog_nix_hooks.debian import packages
from cog_nix_hooks.debian.packages import open_index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix_hooks.debian.packages import Catalogue, PackagesIndex

STANZAS = b"""\
Package: a
Source: src (1.0)
Version: 1:2.0-1
Installed-Size: 120
Maintainer: Somebody <somebody@example.org>
Architecture: amd64
Essential: yes
Provides: v (= 2.0),
 w, a-api
Depends: libc6 (>= 2.38),
 b | c
Description: the first
 Depends: not a field
Priority: required
Filename: pool/main/a/a/a_2.0-1_amd64.deb
Size: 4711
SHA256: 0123

Package: b
Version: 1
Architecture: all
Filename: pool/main/b/b/b_1_all.deb
Size: 1
SHA256: 4567
"""


def opened(tmp_path: Path, data: bytes) -> PackagesIndex:
    file = tmp_path / "file"
    file.write_bytes(data)
    return open_index(file, sha256="abc", uri="http://127.0.0.1/debian", cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress, bytes], ids=["xz", "gzip", "plain"])
@pytest.mark.parametrize("chunk", [1 << 20, 50], ids=["one-piece", "pieces"])
def test_an_index_is_read(
    tmp_path: Path, pack: Callable[[bytes], bytes], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "CHUNK", chunk)
    index = opened(tmp_path, pack(STANZAS))
    [package] = index.named("a")
    assert (package.version, package.architecture, package.essential) == ("1:2.0-1", "amd64", True)
    assert (package.size, package.sha256, package.installed_size) == (4711, "0123", 120)
    assert package.filename == "pool/main/a/a/a_2.0-1_amd64.deb"
    assert [[str(relation) for relation in clause] for clause in package.depends] == [
        ["libc6 (>= 2.38)"],
        ["b", "c"],
    ]
    assert [package.name for package in index.providing("w")] == ["a"]
    assert [package.name for package in index.essential()] == ["a"]
    assert sorted(index.names()) == ["a", "a-api", "b", "v", "w"]
    assert index.named("nothing") == []
    index.close()


def test_a_read_index_is_not_read_again(tmp_path: Path) -> None:
    opened(tmp_path, STANZAS).close()
    index = opened(tmp_path, b"another file, same hash: it is not looked at")
    assert index.named("b")[0].version == "1"
    index.close()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lzma.compress(STANZAS)[:-20], id="cut"),
        pytest.param(b"Package: a\nVersion: 1\n", id="fields-missing"),
        pytest.param(STANZAS.replace(b"w, a-api", b"(("), id="no-relationship"),
        pytest.param(STANZAS.replace(b"first", b"\xff"), id="not-utf-8"),
    ],
)
def test_a_broken_index_is_refused_and_leaves_nothing(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(LockError, match="Packages index cannot be read"):
        opened(tmp_path, data)
    assert list((tmp_path / "cache").iterdir()) == []


def test_old_tables_are_removed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    old, recent = cache / "packages-1-old.sqlite", cache / "packages-1-recent.sqlite"
    for table in (old, recent):
        table.touch()
    os.utime(old, (0, time.time() - 40 * 24 * 3600))
    opened(tmp_path, STANZAS).close()
    assert not old.exists()
    assert recent.exists()


def test_the_same_version_comes_from_the_first_index(catalogue_of: Callable[..., Catalogue]) -> None:
    catalogue = catalogue_of("Package: a\nSize: 1", "Package: a\nSize: 2\n\nPackage: a\nVersion: 0.9")
    assert [(package.version, package.size) for package in catalogue.named("a")] == [
        ("1.0", 1),
        ("0.9", 1000),
    ]
