"""Fragments tied into one layer: every path once, the last one wins, not a byte copied."""

from __future__ import annotations

import hashlib
import tarfile
from typing import TYPE_CHECKING, Any

import archive
import failure
import layer
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _file(path: str, text: str = "", mode: int = 0o644) -> archive.Entry:
    return archive.Entry(path, mode, data=text.encode())


def _folder(path: str, mode: int = 0o755) -> archive.Entry:
    return archive.Entry(path, mode, tarfile.DIRTYPE)


def test_the_layer_holds_what_its_fragments_hold(
    make_fragment: Callable[..., Path], tie: Callable[..., Path], read: Callable[..., Any]
) -> None:
    one = make_fragment("one", _folder("a"), _file("a/1", "1"), _file("a/2", "2"))
    two = make_fragment("two", _folder("a"), _folder("b"), _file("b/3", "3"))
    tied = read(tie(one, two))
    assert tied.names() == ["a", "b", "a/1", "a/2", "b/3"]
    assert [tied.read(name) for name in ("a/1", "a/2", "b/3")] == [b"1", b"2", b"3"]


def test_the_digest_is_that_of_the_bytes_that_are_streamed(
    make_fragment: Callable[..., Path], tie: Callable[..., Path], read: Callable[..., Any]
) -> None:
    fragments = [
        make_fragment(str(number), _folder("a"), _file(f"a/{number}", "x" * number)) for number in range(9)
    ]
    tied = read(tie(*fragments))
    assert tied.diff_id == f"sha256:{hashlib.sha256(tied.data).hexdigest()}"


def test_a_path_of_several_fragments_is_taken_from_the_last_and_named_when_it_differs(
    make_fragment: Callable[..., Path],
    tie: Callable[..., Path],
    read: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = make_fragment("numpy-1", _folder("a"), _file("a/before"), _file("a/shared", "old"), _file("a/z"))
    two = make_fragment("scipy-2", _folder("a"), _file("a/shared", "new"))
    tied = read(tie(one, two))
    assert sorted(tied.names()) == ["a", "a/before", "a/shared", "a/z"]
    assert tied.read("a/shared") == b"new"
    assert capsys.readouterr().out.splitlines() == [
        "cog-nix-note: /a/shared comes from numpy-1 and scipy-2; the latter is used"
    ]


def test_identical_files_of_several_fragments_are_taken_once_without_a_word(
    make_fragment: Callable[..., Path],
    tie: Callable[..., Path],
    read: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    same = [_folder("a"), _file("a/__init__.py", "")]
    tied = read(tie(make_fragment("one", *same), make_fragment("two", *same), make_fragment("three", *same)))
    assert tied.names() == ["a", "a/__init__.py"]
    assert capsys.readouterr().out == ""


def test_the_same_file_with_another_mode_is_named(
    make_fragment: Callable[..., Path], tie: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    tie(make_fragment("one", _file("run", "x", 0o755)), make_fragment("two", _file("run", "x", 0o644)))
    assert "/run comes from one and two" in capsys.readouterr().out


def test_a_folder_of_several_fragments_stands_once_with_the_attributes_of_the_first(
    make_fragment: Callable[..., Path], tie: Callable[..., Path], read: Callable[..., Any]
) -> None:
    tied = read(tie(make_fragment("one", _folder("tmp", 0o1777)), make_fragment("two", _folder("tmp"))))
    assert [(member.name, oct(member.mode)) for member in tied.members()] == [("tmp", "0o1777")]


def test_nothing_but_folders_is_copied(make_fragment: Callable[..., Path], tie: Callable[..., Path]) -> None:
    big = make_fragment("big", _folder("a"), _file("a/big", "x" * 1_000_000))
    tied = tie(big, make_fragment("small", _file("small")))
    assert sum(path.stat().st_size for path in tied.iterdir()) < 10_000


def test_neighbours_become_one_range(make_fragment: Callable[..., Path], tmp_path: Path) -> None:
    one = make_fragment("one", *[_file(f"{number:02}") for number in range(20)])
    two = make_fragment("two", _file("10", "other"))
    parts = [part for part in layer.merge([one, two], tmp_path) if part["size"]]
    assert [part["path"].rpartition("/")[0].rpartition("-")[2] for part in parts] == ["one", "one", "two"]


def test_a_fragment_alone_is_the_layer_that_tying_it_would_make(
    make_fragment: Callable[..., Path], tie: Callable[..., Path], read: Callable[..., Any]
) -> None:
    alone = make_fragment("alone", _folder("b"), _folder("a"), _file("b/1", "1"), _file("a/1", "2"))
    assert read(alone) == read(tie(alone))


def test_a_path_that_is_a_folder_here_and_a_file_there_is_refused(
    make_fragment: Callable[..., Path], tie: Callable[..., Path]
) -> None:
    one = make_fragment("one", _folder("opt"), _folder("opt/it"), _file("opt/it/x"))
    two = make_fragment("two", archive.Entry("opt/it", 0o777, tarfile.SYMTYPE, target="/elsewhere"))
    with pytest.raises(failure.BuildError) as refusal:
        tie(one, two)
    assert str(refusal.value) == "/opt/it is a folder in one and something else in two"


_TREES = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e", "f"]), st.text("xy", max_size=3)),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_TREES)
def test_tying_is_installing_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, read: Callable[..., Any], trees: list[dict[str, str]]
) -> None:
    store = tmp_path_factory.mktemp("store")
    fragments = []
    expected: dict[str, str] = {}
    for number, tree in enumerate(trees):
        fragments.append(store / f"{number}-x")
        entries = [_folder("c"), *(_file(path, text) for path, text in tree.items())]
        archive.write_fragment(fragments[-1], entries, "x")
        expected |= tree
    tied = store / "tied"
    tied.mkdir()
    archive.write_description(tied, "x", archive.describe(layer.merge(fragments, tied)))
    found = read(tied)
    assert len(found.names()) == len(set(found.names()))
    assert {name: found.read(name).decode() for name in found.names() if name != "c"} == expected
