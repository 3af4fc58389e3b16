"""Links over files of wheels that are there already."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

import archive
import symlinks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

_SITE = "usr/local/lib/python3.13/site-packages"


def test_links_are_relative_and_have_their_folders() -> None:
    made = list(symlinks.entries("3.13", [["a/lib/libx.so", "b/libx.so"], ["c.so", "d.so"]]))
    found = {entry.path: entry.target for entry in made if entry.kind == tarfile.SYMTYPE}
    assert found == {f"{_SITE}/a/lib/libx.so": "../../b/libx.so", f"{_SITE}/c.so": "d.so"}
    assert {entry.path for entry in made if entry.kind == tarfile.DIRTYPE} >= {f"{_SITE}/a/lib", _SITE, "usr"}


def test_a_layer_has_the_link_in_place_of_the_file_and_says_nothing(
    make_fragment: Callable[..., Path],
    tie: Callable[..., Path],
    read: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    wheel = make_fragment(
        "triton-3.2",
        *archive.folders(f"{_SITE}/t"),
        archive.Entry(f"{_SITE}/t/libc.so", 0o755, data=b"x" * 5000),
        archive.Entry(f"{_SITE}/t/libc.so.1", 0o755, data=b"x" * 5000),
    )
    pairs = [["t/libc.so", "t/libc.so.1"]]
    tied = read(tie(wheel, make_fragment("triton-symlinks", *symlinks.entries("3.13", pairs))))
    kinds = {member.name: (member.type, member.linkname) for member in tied.members()}
    assert kinds[f"{_SITE}/t/libc.so"] == (tarfile.SYMTYPE, "libc.so.1")
    assert kinds[f"{_SITE}/t/libc.so.1"][0] == tarfile.REGTYPE
    assert tied.data.count(b"x" * 5000) == 1
    assert capsys.readouterr().out == ""
