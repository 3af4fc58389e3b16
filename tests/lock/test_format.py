"""The lock file: reads back as it was written, and says so when it was damaged."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cog_nix.errors import LockError
from cog_nix.lock import format as lock_format
from cog_nix.lock import validity
from cog_nix.lock.model import (
    Artifact,
    Deb,
    Index,
    Interpreter,
    Lock,
    ReferencedFile,
    Seed,
    Source,
    Toolkit,
    Wheel,
)
from cog_nix.system.platforms import AMD64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_TEXTS = st.lists(_TEXT, max_size=3).map(tuple)
_PAIRS = st.lists(st.tuples(_TEXT, _TEXT), max_size=3).map(tuple)
_ARTIFACTS = st.builds(Artifact, _TEXT, _TEXT, _TEXT, st.integers(0, 2**50))
_DEBS = st.lists(st.builds(Deb, _TEXT, _TEXT, _TEXT, _ARTIFACTS, _TEXTS), max_size=3).map(tuple)
_SOURCES = st.none() | st.builds(Source, _TEXT, device_code=st.booleans())
_WHEELS = st.lists(st.builds(Wheel, _TEXT, _TEXT, _ARTIFACTS, _TEXTS, _SOURCES), max_size=3).map(tuple)
_INDEXES = st.lists(st.builds(Index, *[_TEXT] * 6), max_size=2).map(tuple)
_LOCKS = st.builds(
    Lock,
    inputs=_TEXT,
    suite=_TEXT,
    indexes=_INDEXES,
    seed=st.builds(Seed, _TEXT, _DEBS, _WHEELS, _TEXT, _INDEXES),
    interpreter=st.builds(Interpreter, _TEXT, _TEXT, _TEXT),
    base=_DEBS,
    essential=_DEBS,
    python=_DEBS,
    system=_DEBS,
    wheels=_WHEELS,
    layers=st.lists(st.tuples(_TEXT, _TEXTS), max_size=3).map(tuple),
    environment=_PAIRS,
    labels=_PAIRS,
    toolkit=st.none()
    | st.builds(
        Toolkit, _TEXT, _DEBS, _WHEELS, _TEXT, _PAIRS, _TEXTS, commands=st.booleans(), found_in=_INDEXES
    ),
)


@settings(deadline=None, max_examples=60)
@given(_LOCKS)
def test_a_lock_reads_back_as_it_was_written(lock: Lock) -> None:
    text = lock_format.dump(lock)
    assert lock_format.load(text, "x.lock") == lock
    assert lock_format.dump(lock_format.load(text, "x.lock")) == text


def test_a_lock_knows_all_indexes_that_anything_was_taken_from(lock: Callable[..., Lock]) -> None:
    one, other = (
        Index(f"https://{name}.example.org/debian", "trixie", "main", "amd64", "2026-01-01", "ab" * 32)
        for name in ("one", "other")
    )
    made = lock()
    assert made.all_indexes == made.indexes
    assert "found_in" not in lock_format.dump(made)  # as locks of before are
    made = lock(
        seed=replace(made.seed, found_in=(one, *made.indexes)), toolkit=Toolkit("", (), (), found_in=(other,))
    )
    assert made.all_indexes == (*made.indexes, one, other)
    assert lock_format.load(lock_format.dump(made), "x.lock") == made


def test_the_toolkits_files_are_downloaded_like_all_others(lock: Callable[..., Lock]) -> None:
    one = Artifact("nvcc.deb", "https://mirror.example.org/nvcc.deb", "ab", 1)
    with_toolkit = lock(toolkit=Toolkit("CUDA 12.4", (Deb("nvcc", "1", "amd64", one),), ()))
    assert one in lock_format.built_from(with_toolkit)
    assert one not in lock_format.built_from(lock())


def test_keys_are_sorted_and_each_package_has_a_line(lock: Callable[..., Lock]) -> None:
    text = lock_format.dump(lock())
    data = json.loads(text)
    assert list(data) == sorted(data)
    assert text.endswith("\n}\n")
    for name in ("bash", "ffmpeg", "numpy", "installer"):
        (line,) = [
            line for line in text.splitlines() if f'"{name}", "v' in line or f'"package": "{name}"' in line
        ]
        assert json.loads(line.rstrip(",")), "the line is the package and nothing else"


def test_one_new_package_is_one_new_line(lock: Callable[..., Lock], wheel: Callable[..., Wheel]) -> None:
    before = lock_format.dump(lock()).splitlines()
    more = (*lock().wheels, wheel("zlib-ng"))
    after = lock_format.dump(lock(wheels=more)).splitlines()
    assert len(set(after) - set(before)) == 3, "the line, the comma of the line before, and the digest"


def _places(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if above:
        yield above
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*above, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _places(one, (*above, index))


FILE = ReferencedFile("unet.pth", "hf://org/repo@main/unet.pth", "0" * 64, 5, "1" * 40)


def test_files_by_reference_read_back(lock: Callable[..., Lock]) -> None:
    files = (replace(FILE, path="/opt/a", commit="", mount=True), FILE)
    held = lock_format.dump(replace(lock(), files=files))
    assert lock_format.load(held, "cog-nix.lock").files == files
    assert '"files"' not in lock_format.dump(lock())


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ([replace(FILE, path="../unet.pth")], "files[0].path"),
        ([replace(FILE, url="file:///etc/passwd")], "files[0].url"),
        ([replace(FILE, sha256="0")], "files[0].sha256"),
        ([replace(FILE, commit="../main")], "files[0].commit"),
        ([FILE, replace(FILE, path="/src/unet.pth")], "files: "),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_files_by_reference_that_no_lock_has(
    lock: Callable[..., Lock], files: list[ReferencedFile], field: str
) -> None:
    with pytest.raises(LockError, match=re.escape(field)):
        validity.check(replace(lock(), files=tuple(files)), "cog-nix.lock")


@pytest.mark.parametrize("put", [None, 7, "text", {}, [[]], True], ids=repr)
def test_any_value_of_another_kind_is_damage(lock: Callable[..., Lock], put: object) -> None:
    whole = json.loads(lock_format.dump(lock()))
    tried = 0
    for place in _places(whole):
        data = copy.deepcopy(whole)
        holder = data
        for step in place[:-1]:
            holder = holder[step]
        if type(holder[place[-1]]) is type(put):
            continue
        holder[place[-1]] = put
        tried += 1
        with pytest.raises(
            LockError, match=r"x\.lock (is damaged|has format version|is not as cog-nix wrote it)"
        ):
            lock_format.load(json.dumps(data), "x.lock")
    assert tried > 50


_OPTIONAL = ("source", "origin", "links", "facts")
"""Most wheels have neither of the first two, and not every lock has the others."""


def test_any_missing_key_is_named(lock: Callable[..., Lock]) -> None:
    whole = json.loads(lock_format.dump(lock()))
    for place in _places(whole):
        data = copy.deepcopy(whole)
        holder = data
        for step in place[:-1]:
            holder = holder[step]
        if isinstance(holder, list) or place[-1] in _OPTIONAL:
            continue
        del holder[place[-1]]
        with pytest.raises(LockError) as error:
            lock_format.load(json.dumps(data), "x.lock")
        assert str(place[-1]) in error.value.message or place[-1] == "version"
        assert "cog-nix lock" in error.value.hint


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "x.lock is not a lock file: Expecting value: line 1"),
        ("[]", "x.lock is not a lock file"),
        ("[" * 100_000, "x.lock is not a lock file"),
        ('{"version": 1}', "x.lock has format version 1; this cog-nix reads version 3."),
        ("{}", "x.lock has format version None"),
        ('{"version": true}', "x.lock has format version True"),
    ],
    ids=["empty", "a-list", "deep", "older", "no-version", "no-number"],
)
def test_what_is_no_lock_is_told_with_the_way_out(text: str, sentence: str) -> None:
    with pytest.raises(LockError) as error:
        lock_format.load(text, "x.lock")
    assert sentence in error.value.message
    assert error.value.hint == "Write it again with:  cog-nix lock --upgrade"


def test_a_missing_file_is_no_lock_and_others_are_named(tmp_path: Path) -> None:
    path = tmp_path / "cog-nix.lock"
    assert lock_format.read(path, AMD64) is None
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(LockError, match=r"cog-nix\.lock cannot be read"):
        lock_format.read(path, AMD64)
    path.unlink()
    path.mkdir()
    with pytest.raises(LockError, match=r"cog-nix\.lock cannot be read"):
        lock_format.read(path, AMD64)


def test_writing_replaces_the_file_and_leaves_nothing_else(tmp_path: Path, lock: Callable[..., Lock]) -> None:
    path = tmp_path / "cog-nix.lock"
    path.write_text("old")
    lock_format.write(lock(), path)
    assert lock_format.read(path, AMD64) == lock()
    assert [one.name for one in tmp_path.iterdir()] == ["cog-nix.lock"]
    assert oct(path.stat().st_mode & 0o777) == "0o644"
