"""Store paths and Nix archives: known values, and whatever the real Nix says."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cog_nix.store.paths import file_path, nar_hash, store_name, tree_path

if TYPE_CHECKING:
    from pathlib import Path

_EMPTY = hashlib.sha256().hexdigest()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("bash_5.2.37-2+b5_amd64.deb", "bash_5.2.37-2+b5_amd64.deb"),
        ("a~b_1:2.deb", "a-b_1-2.deb"),
        ("torch-2.5.1+cu124-cp313-cp313-linux_x86_64.whl", "torch-2.5.1+cu124-cp313-cp313-linux_x86_64.whl"),
        ("with space & ümlaut", "with-space----mlaut"),
    ],
)
def test_names_are_made_legal(text: str, name: str) -> None:
    assert store_name(text) == name


@given(st.text(min_size=1))
def test_every_name_is_legal_and_as_long(text: str) -> None:
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._?=")
    assert set(store_name(text)) <= allowed
    assert len(store_name(text)) == len(text)
    assert store_name(store_name(text)) == store_name(text)


def _files(root: Path) -> None:
    root.mkdir()
    (root / "empty").touch()
    (root / "file").write_bytes(b"1234567")
    (root / "eight").write_bytes(b"12345678")
    (root / "program").write_bytes(b"#!/bin/sh\n")
    (root / "program").chmod(0o755)
    (root / "group-may-execute").touch()
    (root / "group-may-execute").chmod(0o654)
    (root / "Zebra").touch()
    (root / "ünïcode").touch()
    (root / os.fsdecode(b"latin-\xe9")).touch()
    (root / "link").symlink_to("nowhere/ünïcode")
    (root / "folder/deep").mkdir(parents=True)
    (root / "folder.x").touch()


def test_the_archive_of_an_empty_file_is_the_manuals(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    words = [b"nix-archive-1", b"(", b"type", b"regular", b"contents", b"", b")"]
    archive = b"".join(
        len(word).to_bytes(8, "little") + word + bytes((8 - len(word) % 8) % 8) for word in words
    )
    expected = base64.b64encode(hashlib.sha256(archive).digest()).decode()
    assert nar_hash(tmp_path / "file") == f"sha256-{expected}"


def test_the_order_in_which_files_were_made_does_not_matter(tmp_path: Path) -> None:
    for folder, names in (("one", "abc"), ("two", "cba")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text(name)
    assert nar_hash(tmp_path / "one") == nar_hash(tmp_path / "two")


@pytest.mark.parametrize("change", ["content", "name", "executable", "target"])
def test_every_change_changes_the_hash(tmp_path: Path, change: str) -> None:
    root = tmp_path / "tree"
    _files(root)
    before = nar_hash(root)
    if change == "content":
        (root / "file").write_bytes(b"7654321")
    elif change == "name":
        (root / "file").rename(root / "file2")
    elif change == "executable":
        (root / "program").chmod(0o644)
    else:
        (root / "link").unlink()
        (root / "link").symlink_to("elsewhere")
    assert nar_hash(root) != before


@pytest.mark.nix
def test_nix_hashes_a_tree_to_the_same(tmp_path: Path) -> None:
    _files(tmp_path / "tree")
    said = subprocess.run(
        ["nix-hash", "--type", "sha256", "--base32", str(tmp_path / "tree")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    ours = base64.b64decode(nar_hash(tmp_path / "tree").removeprefix("sha256-")).hex()
    converted = subprocess.run(
        ["nix-hash", "--type", "sha256", "--to-base32", ours], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert converted == said


@pytest.mark.nix
def test_nix_adds_files_and_trees_under_the_same_paths(tmp_path: Path) -> None:
    _files(tmp_path / "a-tree-1.0")
    (tmp_path / "some_1.0_all.deb").write_bytes(b"not really")
    add = ["nix-store", "--store", str(tmp_path / "store"), "--add-fixed"]
    tree = subprocess.run(
        [*add, "--recursive", "sha256", str(tmp_path / "a-tree-1.0")],
        capture_output=True,
        text=True,
        check=True,
    )
    flat = subprocess.run(
        [*add, "sha256", str(tmp_path / "some_1.0_all.deb")], capture_output=True, text=True, check=True
    )
    assert tree_path(nar_hash(tmp_path / "a-tree-1.0"), "a-tree-1.0") == tree.stdout.strip()
    assert file_path(hashlib.sha256(b"not really").hexdigest(), "some_1.0_all.deb") == flat.stdout.strip()


def test_known_paths() -> None:
    assert file_path(_EMPTY, "empty") == "/nix/store/1q82x5ah029adc0r5p06p3ivlzzh3hss-empty"
    sri = f"sha256-{base64.b64encode(bytes(32)).decode()}"
    assert tree_path(sri, "zeros") == "/nix/store/x6ahiakxlsa8n60b890r3f09qd7d647b-zeros"
